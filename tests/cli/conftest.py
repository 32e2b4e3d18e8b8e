"""Real commands in real folders: in this process where that is enough, else in their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from npgpt.cli import main
from npgpt.weights.checksums import measured, write_checksums

from ..stories import write_story

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--n-layer", "1", "--n-head", "2", "--n-embd", "16", "--n-positions", "8",
        "--batch-size", "2", "--max-steps", "4", "--warmup-steps", "1", "--eval-batches", "2",
        "--eval-every", "2", "--sample-every", "2", "--sample-tokens", "5"]


@pytest.fixture(autouse=True)
def fresh_folder(tmp_path, monkeypatch):
    """Every command runs in a new folder with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NPGPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NPGPT_TRACEBACK", raising=False)


@pytest.fixture
def story(tmp_path):
    return write_story(tmp_path)


@pytest.fixture
def npgpt(capsys, monkeypatch):
    """Call the command line in this process: exit code, stdout, stderr."""

    def call(*arguments, stdin=None):
        if stdin is not None:
            import io

            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def process():
    """Start the command line in a process of its own."""

    def start(*arguments, **settings):
        env = {**os.environ, "PYTHONPATH": str(ROOT), **settings.pop("env", {})}
        return subprocess.Popen(
            [sys.executable, "-m", "npgpt", *map(str, arguments)], env=env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings)

    return start


def put_model(model, checkpoint):
    """Give a checkpoint other weights, as if it had been written with them."""
    model.save(checkpoint)
    write_checksums(checkpoint, measured(checkpoint))


@pytest.fixture
def run_folder(npgpt, story):
    """A tiny trained run."""
    code, _, err = npgpt("train", "--corpus", story, "--out", "run", *TINY)
    assert code == 0, err
    return Path("run")
