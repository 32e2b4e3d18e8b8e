"""Each example of the doctor's page is run as it stands there."""

import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from npgpt.doctor import examine_file

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "npgpt" / "doctor" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"### ([^\n]+)\n(?:(?!\n###? ).)*?```python\n(.*?)```", PAGE, re.S)
HERE = [(title, code) for title, code in BLOCKS if title not in ("A file", "A test")]
ITS = dict(BLOCKS)


@pytest.mark.parametrize("title, code", HERE, ids=[title for title, _ in HERE])
def test_an_example_runs_as_it_stands(title, code):
    for framework in ("torch", "jax"):
        if f"import {framework}\n" in code and not importlib.util.find_spec(framework):
            pytest.skip(f"{framework} is not installed")
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code, title, "exec"), {"__name__": "example"})
    output = re.search(rf"### {re.escape(title)}\n(?:(?!\n### ).)*?<!-- output -->\n```\n(.*?)```",
                       PAGE, re.S)
    if output:
        # the last digits of an error differ from machine to machine
        masked = [re.sub(r"\d(\.\d)?e-1[4-9]|0\.0e\+00", "_______", text) for text in (
            shown.getvalue(), output[1])]
        assert masked[0].startswith(masked[1].rstrip())


def test_every_style_has_an_example():
    assert [title for title, _ in BLOCKS] == [
        "A pair of functions", "A layer as a class", "A loss that returns its gradients",
        "Any function and its gradient", "PyTorch", "JAX", "A file", "A test"]


def test_the_file_is_examined_by_the_commands_shown(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(ITS["A file"])
    assert [report.op for report in examine_file(path)] == ["rms", "Scale"]
    commands = re.findall(r"^    npgpt (gradcheck mine\.py.*)$", PAGE, re.M)
    assert len(commands) == 3
    for command in commands:
        run = subprocess.run(
            [sys.executable, "-m", "npgpt", *command.split()], cwd=tmp_path, capture_output=True,
            text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "report.json").is_file()


def test_the_test_passes(tmp_path):
    (tmp_path / "test_mine.py").write_text(ITS["A test"])
    # where npgpt is not installed but only on the path, pytest does not know its plugin
    known = any(e.name == "npgpt_gradcheck" for e in entry_points(group="pytest11"))
    plugin = [] if known else ["-p", "npgpt.doctor.pytest_plugin"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, "test_mine.py"],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert "1 passed" in run.stdout, run.stdout + run.stderr
