"""The plan of the house, held: what may import what, and what every part must have."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Iterator

import pytest

import npgpt
from benchmarks.circles import CIRCLES
from npgpt import config
from npgpt.layers import feed_forward
from npgpt.ops import TEXTBOOK as ops

from .conftest import pytest_cmdline_main

PACKAGE = Path(npgpt.__file__).parent
TESTS = Path(__file__).parent
HOME = PACKAGE.parent

# Imports only point down: a room may use rooms of lower floors, and of its own without a circle.
FLOORS = {
    "arrays": 1, "version": 1, "files": 1, "documents": 1, "suggest": 1, "ids": 1, "machine": 1,
    "checked": 1, "display": 1, "text": 1, "layers": 1, "tape": 1, "gradcheck": 1,
    "config": 2,
    "ops": 3, "params": 3, "budget": 3, "variants": 3, "model": 3,
    "weights": 4, "fast": 4,
    "generation": 5, "evaluation": 5, "probe": 5, "doctor": 5,
    "training": 6,
    "gpt2": 7, "opening": 8, "verify": 8, "selfcheck": 7,
    "lab": 9, "learn": 9, "view": 9, "book": 9, "demos": 9, "packs": 9, "notebooks": 9,
    "cli": 10, "__main__": 11, "__init__": 11,
}
# these know NumPy, the word Array and themselves, and no other room
ALONE = {"arrays", "layers", "tape", "files", "suggest", "gradcheck", "version"}
# a folder data is read, not imported: a notebook's script uses the package as a user does; so do
# the course's exercises
MODULES = sorted(path for path in PACKAGE.rglob("*.py")
                 if not {"data", "exercises"} & {*path.parts})
LAYERS = [path for path in MODULES
          if path.parent.name == "layers" and path.stem not in ("__init__", "contract")]


def dotted(path: Path) -> str:
    """npgpt/text/bpe.py is npgpt.text.bpe; npgpt/text/__init__.py is npgpt.text."""
    parts = path.relative_to(HOME).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {dotted(path): path for path in MODULES}


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def floor_of(module: str) -> int:
    assert room_of(module) in FLOORS, f"{module}: its room needs a floor, in this file's table"
    return FLOORS[room_of(module)]


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file; ours as npgpt.room.module."""
    package = dotted(path).split(".")
    if path.stem != "__init__":
        package = package[:-1]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[:len(package) - node.level + 1] if node.level else []
            base = ".".join(above + ([node.module] if node.module else []))
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in NAMES else base


def ours(path: Path) -> set[str]:
    """The modules of npgpt that a file imports."""
    return {m for m in imported(path) if m == "npgpt" or m.startswith("npgpt.")} - {dotted(path)}


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """One circle of a graph, [] if there is none."""
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> list[str]:
        if node in way:
            return way[way.index(node):] + [node]
        if node in done:
            return []
        for other in sorted(graph.get(node, ())):
            found = walk(other, way + [node])
            if found:
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := walk(node, []))), [])


@pytest.mark.smoke
def test_imports_only_point_down():
    upward = [
        f"{name} (floor {floor_of(name)}) imports {other} (floor {floor_of(other)})"
        for name, path in NAMES.items() for other in sorted(ours(path))
        if floor_of(other) > floor_of(name)
    ]
    assert not upward, "\n".join(upward)


def test_textbook_tape_and_checker_know_no_other_room():
    strangers = [
        f"{name} imports {other}"
        for name, path in NAMES.items() if room_of(name) in ALONE
        for other in sorted(ours(path)) if room_of(other) not in (room_of(name), "arrays")
    ]
    assert strangers == []


def test_layers_import_numpy_and_layers_only():
    allowed = {"__future__", "math", "typing", "numpy"}
    strangers = [
        f"{path.name} imports {module}"
        for path in PACKAGE.glob("layers/*.py") for module in imported(path)
        if module.split(".")[0] not in allowed
        and not module.startswith(("npgpt.layers", "npgpt.arrays"))
    ]
    assert strangers == []


@pytest.mark.smoke
def test_no_imports_run_in_a_circle():
    graph = {name: ours(path) for name, path in NAMES.items()}
    rooms: dict[str, set[str]] = {}
    for name, others in graph.items():
        rooms.setdefault(room_of(name), set()).update(
            room_of(other) for other in others if room_of(other) != room_of(name))
    assert circle_in(rooms) == []
    # a package is imported before its modules, so what it re-exports is no circle by itself
    inside = {
        name: {o for o in others if not name.startswith(f"{o}.")} for name, others in graph.items()
    }
    assert circle_in(inside) == []


@pytest.mark.parametrize(("graph", "circle"), [
    ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
    ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, ["b", "c", "b"]),
    ({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}, []),
])
def test_a_circle_is_found_where_there_is_one(graph, circle):
    assert circle_in(graph) == circle


def functions_of(path: Path) -> set[str]:
    return {node.name for node in tree_of(path).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("path", LAYERS, ids=[path.stem for path in LAYERS])
def test_each_forward_has_its_backward_its_op_and_its_test(path):
    names = functions_of(path)
    forwards = {name.removesuffix("_forward") for name in names if name.endswith("_forward")}
    backwards = {name.removesuffix("_backward") for name in names if name.endswith("_backward")}
    assert forwards == backwards
    assert forwards or path.stem == "erf"
    test = (TESTS / "layers" / f"test_{path.stem}.py").read_text(encoding="utf-8")
    for name in forwards:
        assert name in ops.named(), f"{name} has no line in ops.py"
        for half in ("forward", "backward"):
            assert re.search(rf"\b{name}_{half}\b", test), f"no test names {name}_{half}"


def test_every_op_has_its_layer():
    pairs = {name for path in LAYERS for name in functions_of(path)}
    assert {f"{name}_{half}" for name in ops.named() for half in ("forward", "backward")} <= pairs


def test_the_config_names_the_activations_that_there_are():
    assert {*config.ACTIVATIONS} == {*feed_forward.ACTIVATIONS, "swiglu"}


@pytest.mark.parametrize("path", LAYERS, ids=[path.stem for path in LAYERS])
def test_each_layer_gives_its_shapes_what_it_saves_and_its_source(path):
    text = ast.get_docstring(tree_of(path)) or ""
    wanted = ["Source"] if path.stem == "erf" else ["Shapes", "Saved for backward", "Source"]
    assert [word for word in wanted if f"\n{word} " not in text] == []


def test_every_file_has_its_mirror_among_the_tests():
    missing = []
    for path in MODULES:
        inside = path.relative_to(PACKAGE)
        if path.stem in ("__init__", "__main__", "version"):
            continue
        if not (TESTS / inside.parent / f"test_{path.stem}.py").is_file():
            missing.append(f"npgpt/{inside} has no tests/{inside.parent}/test_{path.stem}.py")
    assert not missing, "\n".join(missing)


def test_every_folder_of_tests_is_a_package():
    # else two test files of one name, in two folders, get in each other's way
    folders = {path.parent for path in TESTS.rglob("test_*.py")}
    assert [f.name for f in folders if not (f / "__init__.py").is_file()] == []


def test_every_room_has_tests_in_the_minutes_worth():
    # the single files too that a learner reads first
    wanted = {path.parent for path in TESTS.glob("*/test_*.py")} | {
        TESTS / f"test_{name}.py" for name in ("tape", "model", "gpt2", "house")}
    marked = {path for path in TESTS.rglob("test_*.py")
              if "pytest.mark.smoke" in path.read_text(encoding="utf-8")}
    assert wanted - marked - {place for path in marked for place in path.parents} == set()


@pytest.mark.parametrize("source, inside, wanted", [
    ("TESTPATHS", {}, "auto"), ("ARGS", {}, None),
    ("TESTPATHS", {"PYTEST_XDIST_WORKER": "gw0"}, None),
])
def test_the_whole_suite_has_a_process_per_core_and_none_of_them_starts_more(
        monkeypatch, source, inside, wanted):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    for name, value in inside.items():
        monkeypatch.setenv(name, value)
    config = SimpleNamespace(
        args_source=pytest.Config.ArgsSource[source],
        pluginmanager=SimpleNamespace(hasplugin=lambda name: name == "xdist"),
        option=SimpleNamespace(numprocesses=None, dist="no"))
    pytest_cmdline_main(config)
    assert config.option.numprocesses == wanted


def test_every_public_function_and_class_says_what_it_does():
    silent = [
        f"{name}.{node.name}"
        for name, path in NAMES.items() for node in tree_of(path).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and not any(ast.unparse(d).endswith("overload") for d in node.decorator_list)
    ]
    assert not silent, "\n".join(silent)


def test_every_file_opens_with_what_it_is_about():
    assert [name for name, path in NAMES.items() if not ast.get_docstring(tree_of(path))] == []


def test_no_file_is_longer_than_400_lines():
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines())
               for name, path in NAMES.items()}
    assert {name: n for name, n in lengths.items() if n > 400} == {}


def test_nothing_is_left_to_do_later():
    # the words are put together here, so that this file does not contain them
    later = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    found = [
        f"{path.relative_to(HOME)}:{number}: {line.strip()}"
        for top in (PACKAGE, TESTS, HOME / "benchmarks") for path in sorted(top.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if later.search(line)
    ]
    assert found == []


def test_nothing_is_pickled():
    unsafe = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    found = [
        f"{name} imports {module}" for name, path in NAMES.items() for module in imported(path)
        if module.split(".")[0] in unsafe
    ]
    for name, path in NAMES.items():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                    found.append(f"{name} allows pickle")
    assert found == []


def test_no_text_is_read_or_written_in_the_encoding_of_the_machine():
    found = []
    for name, path in NAMES.items():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call):
                function, given = ast.unparse(node.func), [ast.unparse(a) for a in node.args]
                texts = function.endswith((".read_text", ".write_text")) or (
                    re.search(r"\bopen$", function) and {"'r'", "'w'", "'a'", "'x'"} & {*given})
                if texts and "encoding" not in {keyword.arg for keyword in node.keywords}:
                    found.append(f"{name}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                            check=True, cwd=HOME)
    return set(answer.stdout.split())


@pytest.mark.smoke
def test_importing_npgpt_loads_nothing_else():
    loaded = {m for m in loaded_by("import npgpt") if m.startswith("npgpt")}
    assert loaded == {"npgpt"}


def test_a_small_part_loads_a_small_part():
    loaded = {m for m in loaded_by("from npgpt import Tape, Op") if m.startswith("npgpt.")}
    assert loaded <= {"npgpt.tape", "npgpt.arrays"}
    circle = loaded_by("from npgpt import TEXTBOOK; from npgpt import model")
    rooms = {m.split(".")[1] for m in circle if m.startswith("npgpt.")}
    assert rooms <= {*CIRCLES["the textbook"].split(), *CIRCLES["  beside it"].split()}


def test_the_model_loads_nothing_heavy():
    heavy = {"tiktoken", "tqdm", "safetensors", "threadpoolctl", "matplotlib", "torch", "scipy",
             "npgpt.training.loop", "npgpt.cli", "npgpt.lab", "npgpt.doctor", "npgpt.probe"}
    assert loaded_by("from npgpt import GPT2, open_model") & heavy == set()


def test_every_public_name_is_found_and_typed():
    source = tree_of(PACKAGE / "__init__.py")
    typed = {alias.asname or alias.name for node in ast.walk(source)
             if isinstance(node, ast.ImportFrom) and node.level for alias in node.names}
    assert typed == set(npgpt.__all__) == set(npgpt._HOMES)
    assert all(getattr(npgpt, name) is not None for name in npgpt.__all__)
    assert set(npgpt.__all__) <= set(dir(npgpt))
    with pytest.raises(AttributeError, match="no attribute 'GPT3'"):
        npgpt.GPT3


def test_importing_npgpt_changes_no_environment_variable():
    code = "import os; e = dict(os.environ); import npgpt; npgpt.GPT2; assert e == dict(os.environ)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=HOME)
