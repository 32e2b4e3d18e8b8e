"""An exercise as a notebook, and the call in it that grades the functions of its cells."""

from __future__ import annotations

import ast
import hashlib
import html
import json
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..documents import Json, read_text

if TYPE_CHECKING:
    from .examine import Result
    from .exercise import Exercise


class Answer:
    """What `check` gives: a cell shows it as a page, a program prints it or reads `result`."""

    def __init__(self, result: Result, lines: list[str]) -> None:
        self.result = result
        self._lines = lines

    @property
    def ok(self) -> bool:
        """Whether the exercise passes."""
        return self.result.status == "passed"

    def __repr__(self) -> str:
        return "\n".join(self._lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def check(
    name: str, functions: Mapping[str, object] | None = None, *, every: bool = False
) -> Answer:
    """Grade the functions of a notebook's cells, or of any program: by default the caller's own.

    `name` is an exercise's; `functions` by name may be given instead. Where the learner's file says
    something else than the cells, the answer says so. Raises ValueError for an unknown exercise.
    """
    from . import words
    from .examine import cells_of, examine_module
    from .exercise import BUILT_IN, read_course
    from .workspace import Workspace, found_from

    here = found_from(Path.cwd()) or Workspace(Path.cwd(), read_course(BUILT_IN))
    exercise = here.find(name)
    mine = types.ModuleType("cells")
    mine.__dict__.update(sys._getframe(1).f_globals if functions is None else functions)
    result = examine_module(exercise, mine, every)
    lines = list(words.of_result(result, every, False))
    if result.status == "passed":
        lines += words.of_pass(exercise, cells_of(exercise, mine), False)
    path = here.path(exercise)
    if functions is None and path.is_file() and (names := _differing(path, mine)):
        lines += ["", *words.wrap(f"The cells were graded. {path.name} differs from them in "
                                  f"{', '.join(names)}.")]
    return Answer(result, lines)


def notebook_of(exercise: Exercise, source: str) -> str:
    """The JSON of a notebook made from a learner's source: a cell for each part, outputs empty."""
    from ..notebooks.writing import notebook

    try:
        ast.parse(source)
    except SyntaxError as error:
        raise ValueError(f"the file is not Python yet: line {error.lineno}: {error.msg}") from None
    story = ast.get_docstring(ast.parse(source)) or exercise.about["title"]
    check = f'import npgpt.learn\n\nnpgpt.learn.check("{exercise.name}")'
    cells = _parts(source)
    # what runs the file alone stops at a part that is not begun: the check stands above it
    alone = [n for n, text in enumerate(cells) if text.startswith("if __name__")]
    cells.insert(alone[0] if alone else len(cells), check)
    text = notebook("\n\n".join(
        [f'r"""{_markdown(story)}\n"""', *(f"# %%\n{cell}" for cell in cells)]) + "\n")
    value = json.loads(text)
    value["metadata"]["npgpt"] = {"sources": _sources(value)}
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def is_untouched(text: str) -> bool:
    """Whether the cells of a notebook are as `notebook_of` made them, run or not."""
    try:
        value = json.loads(text)
        return bool(value["metadata"]["npgpt"]["sources"] == _sources(value))
    except (ValueError, KeyError, TypeError):
        return False


def _sources(value: Json) -> str:
    texts = ["".join(cell["source"]) for cell in value["cells"]]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _markdown(story: str) -> str:
    """A story with its title and its parts as headings, and a blank line before what is indented.
    """
    lines: list[str] = []
    for n, line in enumerate(story.splitlines()):
        if line.startswith("    ") and lines and lines[-1] and not lines[-1].startswith("    "):
            lines.append("")
        head = "# " if n == 0 else "## " if line.isupper() else ""
        lines.append(f"{head}{line.capitalize() if head == '## ' else line}")
    return "\n".join(lines)


def _parts(source: str) -> list[str]:
    """The source after its docstring, cut before each function and class, and before what runs it
    alone."""
    tree, lines = ast.parse(source), source.splitlines()
    body = tree.body[ast.get_docstring(tree) is not None:]
    parts: list[str] = []
    start = body[0].lineno if body else 1
    for before, node in zip([None, *body], [*body, None]):
        end = before.end_lineno or 0 if before is not None else 0
        while start <= end < len(lines) and lines[end].startswith(" "):
            end += 1    # a comment at the end of a function, such as the mark
        alone = isinstance(before, (ast.FunctionDef, ast.ClassDef, ast.If))
        if node is None or (before is not None and (
                alone or isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.If)))):
            # comments above a definition belong to it
            parts.append("\n".join(lines[start - 1:end]))
            start = end + 1
    return [text.strip("\n") for text in parts if text.strip()]


def _differing(path: Path, mine: types.ModuleType) -> list[str]:
    """The functions of a file that the cells define in another way."""
    import inspect

    try:
        tree = ast.parse(read_text(path))
    except (ValueError, SyntaxError):
        return []
    names = []
    for node in tree.body:
        function = getattr(mine, node.name, None) if isinstance(node, ast.FunctionDef) else None
        if isinstance(function, types.FunctionType):
            assert isinstance(node, ast.FunctionDef)
            try:
                cell = ast.unparse(ast.parse(inspect.getsource(function)))
            except (OSError, TypeError, SyntaxError):
                continue
            if cell != ast.unparse(node):
                names.append(node.name)
    return names
