"""The README: every example in it runs, every command in it parses."""

import re
import shlex
from pathlib import Path

import pytest

from npgpt.cli import VERBS, main, parse

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
COMMANDS = re.findall(r"^    npgpt (.+)$", README, re.M)


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_every_python_example_runs(code, tmp_path, monkeypatch):
    if "import torch" in code:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(code)
    exec(compile(code, "mine.py", "exec"), {"__name__": "readme"})
    assert code.strip()


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_parses(line):
    # a command's explanation stands after two or more spaces
    arguments = shlex.split(re.split(r"  +", line)[0])
    assert arguments[0] in VERBS
    if arguments[1:] != ["--help"]:
        assert callable(parse(arguments).run)


# what needs the network, the published weights or minutes; tried by hand before a release
BY_HAND = ("shakespeare", "gpt2 ", "gpt2\n", "book", "lab ")
TINY = ["--n-layer", "1", "--n-head", "2", "--n-embd", "16", "--n-positions", "8",
        "--batch-size", "2", "--max-steps", "2", "--eval-batches", "1", "--sample-every", "0"]


def test_the_commands_run_one_after_another(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NPGPT_CACHE", str(tmp_path / "cache"))
    Path("my-texts").mkdir()
    Path("my-texts/one.txt").write_text("the cat sat on the mat, and the dog looked on\n" * 9)
    Path("mine.py").write_text(next(code for code in PYTHON if code.startswith("# mine.py")))
    assert main(["train", *TINY]) == 0
    ran = []
    for line in COMMANDS:
        command = re.split(r"  +", line)[0]
        if any(word in f"{command}\n" for word in BY_HAND):
            continue
        arguments = shlex.split(command.replace("their-pack", "my-pack"))
        if arguments[0] == "train" and "--resume" not in arguments:
            # the sizes of a toy, but every option of the README's own
            arguments += [a for pair in zip(TINY[::2], TINY[1::2]) if pair[0] not in arguments
                          for a in pair]
            arguments += ["--n-embd", "12"]
        assert main(arguments) == 0, f"{line}\n{capsys.readouterr().err}"
        ran.append(arguments[0])
    assert {"train", "generate", "eval", "inspect", "gradcheck", "demo", "pack"} <= set(ran)


def test_every_verb_is_shown():
    shown = {command.split()[0] for command in COMMANDS}
    assert set(VERBS) - shown == set()


def test_the_layernorm_shown_is_the_layernorm_that_runs():
    source = (Path(__file__).parents[1] / "npgpt/layers/layernorm.py").read_text()
    shown = README.split("from `npgpt/layers/layernorm.py`:\n\n")[1].split("\n\n")[0]
    for line in shown.splitlines():
        assert line in source, line


def test_the_wrong_layernorm_gets_the_report_that_is_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    right = next(code for code in PYTHON if code.startswith("# mine.py"))
    wrong = right.replace(" - through_var", "").replace("dout.sum((0, 1))", "dout.mean((0, 1))")
    Path("mine.py").write_text(wrong)
    assert main(["gradcheck", "mine.py"]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    shown = README.split("and it says\n\n")[1].split("\n\n")[0]
    for sentence in re.split(r"\d\. ", " ".join(shown.split())):
        assert sentence.strip() in printed, printed
