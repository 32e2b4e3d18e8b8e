"""The README pages, of the project and of its rooms: every example and command in them runs."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

from npgpt.cli import VERBS, main, parse
from npgpt.lab.study import read_study
from npgpt.selfcheck.cases import model_cases

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "npgpt").rglob("README.md")),
         *sorted((ROOT / "benchmarks").rglob("README.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
README = TEXTS["README.md"]


def blocks(language):
    """(page and number, text) of every fenced block in that language."""
    return [(f"{page}-{number}", block) for page, text in TEXTS.items()
            for number, block in enumerate(
                re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S))]


def commands(program):
    """Every line of an indented or fenced block that calls the program, each once."""
    found = {}
    for text in TEXTS.values():
        fenced = "".join(re.findall(r"^```(?:sh|bash|console)?\n(.*?)^```", text, re.M | re.S))
        for line in re.findall(rf"^    (?:\$ )?{program} (.+)$", text, re.M) + re.findall(
                rf"^(?:\$ )?{program} (.+)$", fenced, re.M):
            # a command's explanation stands after two or more spaces
            found[re.split(r"  +|\s+#", line)[0]] = None
    return list(found)


PYTHON = blocks("python")
COMMANDS = commands("npgpt")
MODULES = commands("python -m")
MINE = next(block for _, block in PYTHON if block.startswith("# mine.py"))
TINY = ["--n-layer", "1", "--n-head", "2", "--n-embd", "16", "--n-positions", "64",
        "--batch-size", "2", "--max-steps", "2", "--eval-batches", "1", "--sample-every", "0"]
# commands that are parsed and not run, by how they start, and why
BY_HAND = {
    "learn": "needs the learner's folder; tests/cli/test_learn.py has every command",
    "pull": "downloads the published weights",
    "generate gpt2": "needs the published weights",
    "eval gpt2": "needs the published weights",
    "view gpt2": "needs the published weights",
    "view runs/python-docs --serve": "serves until Ctrl-C; tests/view has it",
    "train --from": "has no sizes of its own; tests/cli/test_train.py fine-tunes a small run",
    "completion": "needs the extra completion; tests/cli/test_completion.py has it",
    "convert gpt2": "needs the published weights",
    "convert runs/my-texts": "needs a run with an adapter; tests/cli/test_train.py merges one",
    "train --preset shakespeare": "downloads a text",
    "train --from gpt2": "needs the published weights",
    "train --corpus shakespeare": "downloads a text",
    "book": "takes ten minutes; tests/cli/test_book.py has the quick chapters",
    "gradcheck mine.py:": "the doctor's own mine.py; tests/doctor/test_readme.py has it",
    "lab run": "takes minutes to hours; tests/cli/test_lab.py has a tiny study",
    "pack --compare my-pack mine": "needs a port; tests/packs/test_readers.py builds the page's",
    "lab report": "needs the runs of such a study",
}
# `python -m` lines that are parsed and not run
LONG = {
    "pip": "the set-up itself: .ci/run calls it in a fresh environment",
    "pytest": "these tests",
    "benchmarks": "measures for minutes; tests/benchmarks has every part at small sizes",
}


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A folder with what the pages speak of: mine.py, a text, a trained run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("NPGPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    Path("mine.py").write_text(MINE)
    Path("my-texts").mkdir()
    Path("my-texts/one.txt").write_text("the cat sat on the mat, and the dog looked on\n" * 90)
    Path("prompts.txt").write_text("The cat\nA dog\n")
    Path("my-text.txt").write_text("The cat sat on the mat.\n" * 9)
    yield tmp_path
    sys.modules.pop("mine", None)


@pytest.mark.parametrize("code", [code for _, code in PYTHON], ids=[name for name, _ in PYTHON])
def test_every_python_example_runs(code, there):
    if "import torch" in code:
        pytest.importorskip("torch")
    if "import jax" in code:
        pytest.importorskip("jax")
    if "runs/python-docs" in code:
        assert main(["train", *TINY]) == 0
    # in a file, so that a report can quote its lines
    path = "mine.py" if code.startswith("# mine.py") else "example.py"
    Path(path).write_text(code)
    exec(compile(code, path, "exec"), {"__name__": "readme"})


def test_every_study_shown_can_be_read(there):
    for name, text in blocks("toml"):
        if "[study]" in text:
            Path("study.toml").write_text(text)
            assert read_study(Path("study.toml")).arms, name


@pytest.mark.smoke
@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_parses(line):
    arguments = shlex.split(line)
    assert arguments[0] in VERBS or arguments[0].startswith("--"), line
    if arguments[0] in VERBS and arguments[-1] != "--help":
        assert callable(parse(arguments).run)


def test_the_commands_run_one_after_another(there, capsys, monkeypatch):
    # tests/test_model.py checks them all
    monkeypatch.setattr("npgpt.selfcheck.check.model_cases", lambda seed: model_cases(seed)[:1])
    assert main(["train", *TINY]) == 0
    ran = []
    for line in COMMANDS:
        if line.startswith(tuple(BY_HAND)) or "--help" in line or line == "--version":
            continue
        arguments = shlex.split(line.replace("their-pack", "my-pack"))
        if arguments[0] == "train" and "--resume" not in arguments:
            # the sizes of a toy, but every option of the page's own
            arguments += [a for pair in zip(TINY[::2], TINY[1::2]) if pair[0] not in arguments
                          for a in pair]
            arguments += ["--n-embd", "12", "--out", f"runs/{len(ran)}"]
        assert main(arguments) == 0, f"{line}\n{capsys.readouterr().err}"
        ran.append(arguments[0])
    assert {"train", "generate", "eval", "inspect", "gradcheck", "demo", "pack"} <= set(ran)


@pytest.mark.parametrize("line", MODULES)
def test_every_module_that_a_page_calls_is_there_and_those_not_run_are_listed(line):
    module = shlex.split(line.split("&&")[0])[0]
    assert module.split(".")[0] in LONG, f"python -m {line} needs a test, or a reason here"
    assert importlib.util.find_spec(module) is not None


def test_every_verb_is_shown():
    shown = {command.split()[0] for command in COMMANDS}
    assert set(VERBS) - shown == set()


def test_the_main_page_has_at_most_200_lines():
    assert len(README.splitlines()) <= 200


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", TEXTS[page])
    missing = [link for link in links if "://" not in link
               and not ((ROOT / page).parent / link).exists()]
    assert missing == []


def test_the_set_up_is_the_two_commands_that_the_checks_call():
    assert "\n    python -m pip install . && npgpt train\n" in README
    test_command = "python -m pip install -e '.[test]' && python -m pytest"
    assert f"\n    {test_command}\n" in README
    assert test_command.replace("install", "install --quiet") in (ROOT / ".ci/run").read_text()


def test_the_layernorm_shown_is_the_layernorm_that_runs():
    source = (ROOT / "npgpt/layers/layernorm.py").read_text(encoding="utf-8").splitlines()
    body = [line for line in MINE.splitlines() if line.startswith("    ")]
    assert [line for line in body if line not in source] == []


def test_the_wrong_layernorm_gets_the_report_that_is_shown(there, capsys):
    wrong = MINE.replace(" - through_var", "").replace(
        "dout.sum(axis=positions)", "dout.mean(axis=positions)")
    Path("mine.py").write_text(wrong)
    assert main(["gradcheck", "mine.py"]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    shown = README.split("and it says\n\n")[1].split("\n\n")[0]
    for sentence in re.split(r"\d\. ", " ".join(shown.split())):
        assert sentence.strip() in printed, printed
