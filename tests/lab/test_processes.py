"""A study's processes on this machine; what the lab does with them is in test_runner."""

import json
import subprocess
import sys

import pytest

from npgpt.lab import processes
from npgpt.lab.folder import machine
from npgpt.lab.processes import Here

SHOW = """
import json, os, sys
print(json.dumps([sys.argv[1:], [os.environ.get(name) for name in sys.argv[1:]]]))
print("a remark", file=sys.stderr)
"""


@pytest.fixture
def here():
    starter = Here(3)
    yield starter
    starter.close()


def test_a_run_gets_its_arguments_one_thread_and_a_file_for_its_remarks(
        tmp_path, here, runs, monkeypatch):
    real, out = subprocess.Popen, tmp_path / "out.json"

    def show(command, **settings):
        assert command[1:4] == ["-m", "npgpt.lab.child", "train"]
        with out.open("w") as file:
            return real([sys.executable, "-c", SHOW, *command[4:]], **{**settings, "stdout": file})

    monkeypatch.setattr(processes.subprocess, "Popen", show)
    runs[0].place.parent.mkdir(parents=True)
    assert here.jobs == 3 and here.begin(tmp_path) == [machine()]
    names = ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"]
    assert here.start(runs[0], names).wait() == 0
    assert json.loads(out.read_text()) == [names, ["1", "1"]]
    assert runs[0].beside(".txt").read_text() == "a remark\n"


def test_closing_ends_the_stdin_of_what_still_goes(tmp_path, runs, monkeypatch):
    real = subprocess.Popen
    monkeypatch.setattr(processes.subprocess, "Popen", lambda command, **settings: real(
        [sys.executable, "-c", "import sys; sys.exit(len(sys.stdin.read()) + 7)"], **settings))
    runs[0].place.parent.mkdir(parents=True)
    starter = Here(1)
    starter.begin(tmp_path)
    process = starter.start(runs[0], [])
    assert process.poll() is None
    starter.close()
    assert process.wait() == 7
    # once more does nothing
    starter.close()
