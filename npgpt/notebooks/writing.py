"""From scripts with cells to notebooks: nbformat 4, without outputs."""

from __future__ import annotations

import ast
import errno
import json
from importlib.resources import files
from pathlib import Path
from typing import Iterator, NamedTuple

from ..checked import checked
from ..files import place_of, write_text
from . import NOTEBOOKS

SUFFIX = ".ipynb"
_CODE, _TEXT = "# %%", "# %% [markdown]"


class Cell(NamedTuple):
    """A cell of a notebook: "code" or "markdown", and its text."""

    kind: str
    source: str


def script(name: str) -> str:
    """The script of a notebook, by its key in NOTEBOOKS."""
    return files(__package__).joinpath("data", f"{name}.py").read_text(encoding="utf-8")


def cells(text: str) -> list[Cell]:
    """The cells of a script: its docstring as text, then what each `# %%` begins."""
    found = [Cell("markdown", ast.get_docstring(ast.parse(text)) or "")]
    for kind, lines in _blocks(text):
        if kind == "markdown":
            lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
        found.append(Cell(kind, "\n".join(lines).strip("\n")))
    return [cell for cell in found if cell.source]


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    kind, lines = "", list[str]()
    for line in [*text.splitlines(), _CODE]:
        if line in (_CODE, _TEXT):
            if kind:
                yield kind, lines
            kind, lines = "markdown" if line == _TEXT else "code", []
        else:
            lines.append(line)


def notebook(text: str) -> str:
    """A script as the JSON of a notebook; the same script gives the same text."""
    parts: list[dict[str, object]] = []
    for n, cell in enumerate(cells(text)):
        part = {"cell_type": cell.kind, "id": f"cell-{n}", "metadata": {},
                "source": cell.source.splitlines(keepends=True)}
        parts.append(part | ({"execution_count": None, "outputs": []} if cell.kind == "code"
                             else {}))
    content = {
        "cells": parts,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4, "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


@checked
def write_notebooks(folder: Path | str, replace: bool = False) -> list[Path]:
    """Write the notebooks into a folder, which is made if it is not there; returns their paths.

    Raises FileExistsError, before anything is written, for one that is there, unless `replace`.
    """
    folder = Path(folder)
    paths = {name: folder / f"{file}{SUFFIX}" for name, file in NOTEBOOKS.items()}
    for path in paths.values():
        if place_of(path).exists() and not replace:
            raise FileExistsError(errno.EEXIST, "there already", str(path))
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in paths.items():
        write_text(path, notebook(script(name)))
    return list(paths.values())
