"""npgpt/README.md: the public Python API, each name with the first sentence of its docstring.

    python -m benchmarks.api            the list, to the terminal
    python -m benchmarks.api --write    into the section `api` of npgpt/README.md
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Iterator

from .readme import ROOT, put_section

README = ROOT / "npgpt" / "README.md"
# room -> its public names, wherever in the room they are defined; none are those it exports
ROOMS: dict[str, tuple[str, ...]] = {
    "npgpt": (),
    "npgpt.text": (),
    "npgpt.weights": (),
    "npgpt.generation": (),
    "npgpt.evaluation": ("score_text", "read_questions", "score_questions"),
    "npgpt.probe": ("trace", "first_break", "attention_entropy", "causal_bound", "quartiles"),
    "npgpt.training": ("resolve", "new_state", "train", "loss_and_grads", "load_checkpoint",
                       "adamw_reference"),
    "npgpt.machine": (),
    "npgpt.gradcheck": (),
    "npgpt.packs": (),
    "npgpt.lab": ("shipped", "load_study", "run_study"),
    "npgpt.book": (),
}
# classes whose methods are listed too
FACES = ("GPT2", "GPT2Config", "LanguageModel", "Ops", "Tape", "Tokenizer")
# what has no docstring of its own
CONSTANTS = {
    "TEXTBOOK": "The textbook's ops: readable, for float32, float64 and complex step.",
    "FAST": "TEXTBOOK with the ops that have a quicker version; what GPT2 uses by default.",
    "CORPORA": "The corpora that load_corpus finds by name.",
    "KINDS": "The kinds of mistake that a report can name, each with a description.",
    "GPT_CONFIG_124M": "The book's configuration of GPT-2 124M, as a dict.",
    "gpt2": "The book's GPT-2, built on this package's layers.",
}


def page() -> str:
    """The section `api`: a heading and a table for each room."""
    parts = []
    for room in ROOMS:
        lines = [f"| {name} | {sentence} |" for name, sentence in entries(room)]
        if lines:
            head = [f"## {room}", "", "| name | what it is |", "|---|---|"]
            parts.append("\n".join([*head, *lines]))
    return "\n\n".join(parts)


def entries(room: str) -> Iterator[tuple[str, str]]:
    """Name with parameters, and first sentence, of everything public in a room."""
    module = importlib.import_module(room)
    for name in ROOMS[room] or exported(module):
        found = getattr(module, name) if hasattr(module, name) else _within(module, name)
        if name.startswith("__"):
            continue
        if inspect.ismodule(found):
            found = _within(module, name)
        yield f"`{name}{_parameters(found)}`", _sentence(name, found)
        if name in FACES:
            for method, member in vars(found).items():
                inner = getattr(member, "__func__", member)
                if inspect.isfunction(inner) and not method.startswith("_"):
                    yield f"`{name}.{method}{_parameters(inner)}`", _sentence(method, inner)


def exported(module: ModuleType) -> list[str]:
    """A package's __all__; without one, the functions and classes defined in its __init__."""
    names = getattr(module, "__all__", None)
    return list(names) if names is not None else [
        name for name, found in vars(module).items()
        if not name.startswith("_") and getattr(found, "__module__", None) == module.__name__]


def _within(room: ModuleType, name: str) -> object:
    """A function or class of that name, defined in one of the room's modules."""
    for info in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        module = importlib.import_module(info.name)
        found = vars(module).get(name)
        if getattr(found, "__module__", None) == info.name:
            return found
    raise ValueError(f"{room.__name__} has no {name}; see ROOMS in benchmarks/api.py")


def _parameters(found: object) -> str:
    if not inspect.isfunction(found):
        return ""
    names = [("*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else "") + n
             for n, p in inspect.signature(found).parameters.items()]
    return f"({', '.join(n for n in names if n not in ('self', 'cls'))})"


def _sentence(name: str, found: object) -> str:
    text = CONSTANTS.get(name) or inspect.getdoc(found)
    if not text:
        raise ValueError(f"{name} has no docstring")
    paragraph = " ".join(text.split("\n\n")[0].split())
    # a sentence ends at a stop before a capital letter, so not within `e.g. this`
    return re.split(r"(?<=[.:]) (?=[A-Z`])", paragraph)[0].rstrip(".:").replace("|", "\\|") + "."


def main() -> None:
    """Print the list, or write it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.api", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--write", action="store_true", help="write the section of the page")
    parser.add_argument("--readme", type=Path, default=README, metavar="FILE")
    args = parser.parse_args()
    if args.write:
        put_section("api", page(), args.readme)
    else:
        print(page())


if __name__ == "__main__":
    main()
