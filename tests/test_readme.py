"""The README: every example in it runs, every command in it parses."""

import re
import shlex
from pathlib import Path

import pytest

from npgpt.cli import VERBS, _parser

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
COMMANDS = re.findall(r"^    npgpt (.+)$", README, re.M)


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_every_python_example_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert code.strip()


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_parses(line):
    # a command's explanation stands after two or more spaces
    arguments = shlex.split(re.split(r"  +", line)[0])
    assert arguments[0] in VERBS
    if arguments[1:] != ["--help"]:
        assert callable(_parser(arguments).parse_args(arguments).run)


def test_every_verb_is_shown():
    shown = {command.split()[0] for command in COMMANDS}
    assert set(VERBS) - shown == set()


def test_the_layernorm_shown_is_the_layernorm_that_runs():
    source = (Path(__file__).parents[1] / "npgpt/layers/layernorm.py").read_text()
    shown = README.split("from `npgpt/layers/layernorm.py`:\n\n")[1].split("\n\n")[0]
    for line in shown.splitlines():
        assert line in source, line
