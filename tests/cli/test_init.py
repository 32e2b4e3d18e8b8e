"""The command line as a whole: codes, one-line mistakes, and nothing loaded that is not needed."""

import ast
import os
import subprocess
import sys

import pytest

from npgpt.cli import VERBS, exit_code, main, one_line, parse, verb_parser
from npgpt.demos import DEMOS
from npgpt.text import CorpusError
from npgpt.training.update import Diverged
from npgpt.version import VERSION
from npgpt.weights import CheckpointError

from .conftest import ROOT


@pytest.mark.parametrize("arguments, says", [
    ([], "expected one of train, generate"),
    (["trian"], "did you mean 'train'"),
    (["sample"], "unknown verb 'sample' (here 'generate')"),
    (["train", "--lerning-rate", "1"], "did you mean '--learning-rate'"),
    (["train", "--max-steps", "many"], "--max-steps"),
    (["generate"], "MODEL"),
    (["generate", "run", "The", "cat"], "quote"),
    (["train", "--max-step", "3"], "did you mean '--max-steps'"),
])
def test_a_usage_mistake_is_one_line_and_code_2(npgpt, arguments, says):
    code, out, err = npgpt(*arguments)
    assert code == 2 and out == ""
    assert says in err and err.count("\n") == 1


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_that_fits_into_80_columns(npgpt, monkeypatch, verb):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = npgpt(verb, "--help")
    assert code == 0 and err == "" and out.startswith(f"usage: npgpt {verb}")
    assert [line for line in out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("verb, arguments, option", [
    ("generate", ["run", "Hello"], ["--temperature", "0"]),
    ("eval", ["run", "text.txt"], ["--stride", "4"]),
    ("entropy", ["run", "text.txt"], ["--length", "4"]),
    ("inspect", ["gpt2"], ["--untied"]),
    ("view", ["run", "the"], ["--length", "2"]),
    ("gradcheck", ["mine.py"], ["--seed", "1"]), ("explain", ["factor"], []),
    ("demo", ["sizes"], ["--color", "never"]),
    ("notebook", ["lessons"], ["--force"]), ("plot", ["run", "other"], ["--color", "never"]),
    ("lab", ["run", "small"], ["--jobs", "1"]),
    ("pack", ["tiny", "out"], ["--seed", "1"]),
    ("convert", ["run", "out"], ["--to", "hf"]),
    ("verify", ["run"], []), ("pull", ["gpt2"], []), ("completion", ["bash"], []),
    ("book", [], ["--train"]), ("train", [], ["--max-steps", "4"]),
    ("learn", ["check", "softmax"], ["--all"]),
])
def test_options_may_stand_anywhere_behind_the_verb(verb, arguments, option):
    parsed = [parse([verb, *arguments[:place], *option, *arguments[place:]])
              for place in range(len(arguments) + 1)]
    assert all(given == parsed[0] for given in parsed)


def test_every_verb_is_tried_with_options_before_and_after_its_arguments():
    marks = test_options_may_stand_anywhere_behind_the_verb.pytestmark
    tried = {case[0] for mark in marks for case in mark.args[1]}
    assert tried >= {verb for verb in VERBS
                     if any(not action.option_strings for action in verb_parser(verb)._actions)}


@pytest.mark.parametrize("arguments", [
    ["eval", "run"], ["inspect", "run", "--all"], ["inspect", "gpt2-xl"], ["entropy", "run"],
    ["view", "run"], ["convert", "run", "out"], ["pack", "tiny", "out"], ["lab", "list"],
    ["demo", "generate", "--model", "run", "--prompt", "the"],
    *(["demo", name] for name in DEMOS if name != "generate"),
], ids=" ".join)
def test_what_a_verb_prints_fits_into_80_columns(npgpt, run_folder, arguments):
    # train, gradcheck and book hold theirs in their own tests
    code, out, err = npgpt(*arguments)
    assert code == 0, err
    # a text is named by its place, which may lie deep
    wide = [line for line in out.splitlines() if len(line) > 80 and "story.txt" not in line]
    assert wide == []


@pytest.mark.parametrize("arguments", [
    ["train"], ["generate", "run"], ["gradcheck"], ["pack", "tiny", "out"],
    ["convert", "run", "out"], ["demo", "generate"],
])
@pytest.mark.parametrize("seed", ["-1", "1.5", "x"])
def test_what_is_not_a_seed_is_rejected_by_every_verb_in_the_same_words(npgpt, arguments, seed):
    code, out, err = npgpt(*arguments, "--seed", seed)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--seed" in err and f"expected an integer of at least 0, got {seed!r}" in err


def test_help_lists_every_verb_in_80_columns_and_version_prints_the_version(npgpt):
    code, out, _ = npgpt("--help")
    assert code == 0 and all(f"  {verb} " in out for verb in VERBS)
    assert max(map(len, out.splitlines())) <= 80
    assert npgpt("--version")[1] == f"npgpt {VERSION}\n"


@pytest.mark.parametrize("asked, same", [
    (["help"], ["--help"]), (["help", "eval"], ["eval", "--help"]),
    (["help", "--help"], ["--help"]),
])
def test_help_may_be_asked_for_as_a_verb(npgpt, asked, same):
    assert npgpt(*asked) == npgpt(*same) and npgpt(*asked)[0] == 0


@pytest.mark.parametrize("error, code", [
    (ValueError("x"), 2), (CheckpointError("x"), 3), (CorpusError("x"), 3), (OSError("x"), 3),
    (Diverged("x"), 4), (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), 3),
    (TypeError("ours"), None), (AssertionError(), None),
])
def test_errors_have_their_codes_and_our_own_bugs_have_none(error, code):
    assert exit_code(error) == code


def test_an_error_of_the_system_names_the_file():
    try:
        open("/nowhere/at all")
    except OSError as error:
        assert one_line(error) == "/nowhere/at all: No such file or directory"


@pytest.mark.smoke
def test_an_interrupted_command_exits_130(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("npgpt.cli.inspect.run", interrupted)
    assert main(["inspect", "gpt2"]) == 130


def test_a_mistake_shows_its_traceback_when_asked(npgpt, monkeypatch):
    monkeypatch.setenv("NPGPT_TRACEBACK", "1")
    with pytest.raises(ValueError):
        npgpt("inspect", "gpt3")


@pytest.mark.smoke
def test_a_closed_pipe_ends_quietly(process):
    running = process("gradcheck")
    running.stdout.readline()
    running.stdout.close()
    assert running.stderr.read() == ""
    assert running.wait() == 141
    running.stderr.close()


def test_a_verb_loads_nothing_that_it_does_not_need():
    code = ("import sys; from npgpt.cli import main; main(['inspect', 'gpt2']); "
            "print([m for m in ('tiktoken', 'tqdm', 'matplotlib', 'torch', 'safetensors', "
            "'npgpt.book', 'npgpt.doctor', 'hypothesis') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


ANSWERED = """
import sys
import npgpt.cli as cli

def answered(argv=None):
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        return 130

cli.main = answered
sys.exit(cli.entry())
"""


def test_an_interrupt_in_code_made_from_text_still_exits_130(tmp_path):
    # as when Ctrl-C falls into the import of a dataclass: Python -m would end by the signal
    (tmp_path / "answered.py").write_text(ANSWERED)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    done = subprocess.run([sys.executable, "-m", "answered"], env=env, capture_output=True)
    assert done.returncode == 130, done.stderr


OPTIONAL = {"matplotlib", "tiktoken", "scipy", "safetensors", "shtab", "threadpoolctl", "torch"}


def test_the_help_of_every_verb_loads_none_of_the_optional_packages():
    code = ("import sys; from npgpt.cli import VERBS, main\n"
            "for verb in VERBS: main([verb, '--help'])\n"
            f"print(sorted({OPTIONAL} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def imports_of(tree):
    return [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_imports_stand_at_its_top_and_name_no_other_verb(verb):
    tree = ast.parse((ROOT / "npgpt" / "cli" / f"{verb}.py").read_text(encoding="utf-8"))
    for node in imports_of(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            assert node.module not in VERBS
    late = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            for function in ast.walk(tree) if isinstance(function, ast.FunctionDef)
            for node in imports_of(function)]
    assert set(late) <= OPTIONAL
