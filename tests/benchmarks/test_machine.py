"""What a result file says about the machine it was measured on."""

import json
import platform
import re
import shutil
import subprocess

import pytest

from benchmarks import machine


def test_a_machine_is_described_with_its_blas_the_day_and_the_commit():
    found = machine.describe_machine()
    assert json.loads(json.dumps(found)) == found
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"])
    assert found["cores"] >= 1 and found["threads"] >= 1
    assert found["blas"] is None or re.search(r"\d", found["blas"])


def test_instructions_that_are_switched_off_are_named(monkeypatch):
    for name in machine.INSTRUCTIONS:
        monkeypatch.delenv(name, raising=False)
    assert machine.describe_machine()["instructions"] == {}
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert machine.describe_machine()["instructions"] == {"OPENBLAS_CORETYPE": "Haswell"}


@pytest.mark.parametrize(("disabled", "ending"), [(1, " free-threaded"), (0, ""), (None, "")])
def test_a_python_without_the_gil_is_named_as_one(disabled, ending, monkeypatch):
    monkeypatch.setattr(machine.sysconfig, "get_config_var", lambda name: disabled)
    assert machine.describe_machine()["python"] == platform.python_version() + ending


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_commit_with_changes_has_a_mark_and_outside_of_a_checkout_is_none(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
                       cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "benchmarks" / "machine.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert machine._commit() is None
    git("init", "-q")
    (tmp_path / "README.md").write_text("a")
    (tmp_path / "code.py").write_text("a")
    git("add", "-A")
    git("commit", "-qm", "a")
    clean = machine._commit()
    assert re.fullmatch(r"[0-9a-f]{10}", clean)
    # what a measurement writes is not a change
    (tmp_path / "README.md").write_text("b")
    (tmp_path / "benchmarks" / "README.md").write_text("b")
    (tmp_path / "benchmarks" / "results" / "ops.json").write_text("{}")
    assert machine._commit() == clean
    (tmp_path / "code.py").write_text("b")
    assert machine._commit() == clean + "+"
