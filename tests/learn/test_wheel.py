"""From a wheel in an empty environment the course is whole."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not os.environ.get("NPGPT_WHOLE_COURSE"),
                    reason="NPGPT_WHOLE_COURSE asks for it: it builds, installs, takes minutes")
def test_a_wheel_in_an_empty_environment_proves_every_claim_of_the_course(tmp_path):
    def run(*command, cwd=tmp_path):
        done = subprocess.run([str(part) for part in command], cwd=cwd, text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # of a copy: a build leaves its folder behind
    shutil.copytree(ROOT / "npgpt", tmp_path / "source" / "npgpt",
                    ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "source")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path,
        tmp_path / "source")
    run(sys.executable, "-m", "venv", tmp_path / "empty")
    python = tmp_path / "empty" / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", *tmp_path.glob("*.whl"))
    assert "24 exercises" in run(python, "-P", "-m", "npgpt", "learn", "verify")
    assert "written to" in run(python, "-P", "-m", "npgpt", "learn", "start")
