"""npgpt/README.md: the public Python API, each name with the first sentence of its docstring.

    python -m benchmarks.api            the list, to the terminal
    python -m benchmarks.api --write    into the section `api` of npgpt/README.md
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Iterator

from .readme import ROOT, put_section

README = ROOT / "npgpt" / "README.md"
# module -> its public names, as they are imported from it; none are those it exports
MODULES: dict[str, tuple[str, ...]] = {
    "npgpt": (),
    "npgpt.text": (),
    "npgpt.weights": (),
    "npgpt.generation": (),
    "npgpt.evaluation.text": ("score_text",),
    "npgpt.evaluation.choices": ("read_questions", "score_questions"),
    "npgpt.evaluation.last_word": ("read_passages", "score_last_words"),
    "npgpt.evaluation.continuations": ("Continuation", "score_continuations"),
    "npgpt.probe.trace": ("Trace", "trace", "first_break"),
    "npgpt.probe.entropy": ("attention_entropy", "causal_bound", "quartiles"),
    "npgpt.training.settings": ("resolve",),
    "npgpt.training.loop": ("new_state", "train"),
    "npgpt.training.log": ("Step",),
    "npgpt.training.progress": ("Progress",),
    "npgpt.training.exports": ("exporting",),
    "npgpt.training.curves": ("Curves", "read_curves"),
    "npgpt.training.checkpoint": ("load_checkpoint",),
    "npgpt.training.step.gradients": ("loss_and_grads",),
    "npgpt.training.step.adamw": ("adamw_reference",),
    "npgpt.machine": (),
    "npgpt.doctor": (),
    "npgpt.packs": (),
    "npgpt.lab.study": ("shipped", "load_study"),
    "npgpt.lab.runner": ("run_study",),
    "npgpt.book": (),
}
# classes whose methods are listed too
FACES = ("Curves", "GPT2", "GPT2Config", "LanguageModel", "Ops", "Tape", "Tokenizer")
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
    """The section `api`: a heading and a table for each module."""
    parts = []
    for module in MODULES:
        lines = [f"| {name} | {sentence} |" for name, sentence in entries(module)]
        if lines:
            head = [f"## {module}", "", "| name | what it is |", "|---|---|"]
            parts.append("\n".join([*head, *lines]))
    return "\n\n".join(parts)


def entries(module: str) -> Iterator[tuple[str, str]]:
    """Name with parameters, and first sentence, of everything public in a module."""
    imported = importlib.import_module(module)
    for name in MODULES[module] or exported(imported):
        if name.startswith("__"):
            continue
        if not hasattr(imported, name):
            raise ValueError(f"{module} has no {name}; see MODULES in benchmarks/api.py")
        found = getattr(imported, name)
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
