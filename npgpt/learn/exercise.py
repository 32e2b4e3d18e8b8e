"""One exercise, read from its folder: exercise.py, exercise.toml and grade.py.

exercise.py is the solution with marks, and the stub is made from it; exercise.toml has title, goal,
hints and the wrong answers that people give; grade.py has grade(mine, g), with g a Grading.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NotRequired, TypedDict

from ..documents import check_type, parse_toml, read_text
from .marks import stub_of

BUILT_IN = Path(__file__).parent / "exercises"
_FOLDER = re.compile(r"(\d+)_(\w+)")
_MARKS = re.compile(r"difficulty: (\d)/5\s+importance: (\d)/5\s+about (\d+) minutes")


class CourseError(ValueError):
    """An exercise's files do not have the form that the course asks for."""


class WrongAnswer(TypedDict):
    """What people write in place of the solution: one edit of it, or several; and its diagnosis."""

    name: str
    replace: str | list[str]
    by: str | list[str]
    kind: str
    says: NotRequired[str | list[str]]
    breaks: str


class RightAnswer(TypedDict):
    """Another correct form: one edit of the solution, or several, which passes as the solution."""

    name: str
    replace: str | list[str]
    by: str | list[str]


class Planted(TypedDict):
    """A wrong backward for 'find the fault': one edit of the solution, and what is wrong in it."""

    replace: str | list[str]
    by: str | list[str]
    kind: str


class Train(TypedDict):
    """What `npgpt learn train` takes from the learner's file."""

    ops: NotRequired[list[str]]
    parts: NotRequired[list[str]]


class About(TypedDict):
    """exercise.toml."""

    title: str
    goal: str
    find: list[str]
    hints: list[str]
    after: NotRequired[str]
    train: NotRequired[Train]
    wrong: list[WrongAnswer]
    right: NotRequired[list[RightAnswer]]
    fault: NotRequired[list[Planted]]


@dataclass(frozen=True, eq=False)
class Exercise:
    """One exercise; `name` is "softmax", `file` the learner's "05_softmax.py"."""

    number: int
    name: str
    folder: Path
    solution: str
    about: About

    @property
    def file(self) -> str:
        """The name of the learner's file."""
        return f"{self.folder.name}.py"

    @property
    def place(self) -> Path:
        """Where the solution is."""
        return self.folder / "exercise.py"

    @cached_property
    def stub(self) -> str:
        """What the learner begins with."""
        try:
            return stub_of(self.solution)
        except ValueError as error:
            raise CourseError(f"{self.place}: {error}") from None

    @cached_property
    def story(self) -> str:
        """The docstring at the top of the file."""
        return ast.get_docstring(ast.parse(self.solution)) or ""

    @cached_property
    def estimate(self) -> tuple[int, int, int]:
        """Difficulty and importance of 5, and minutes, as the docstring has them."""
        found = _MARKS.search(self.story)
        if not found:
            raise CourseError(f"{self.place}: its docstring needs a line such as "
                              "'difficulty: 3/5  importance: 5/5  about 25 minutes (estimated)'")
        return int(found[1]), int(found[2]), int(found[3])

    def changed(self, edit: WrongAnswer | RightAnswer | Planted) -> str:
        """The solution with an edit in it; CourseError unless each text occurs exactly once."""
        text = self.solution
        olds, news = _listed(edit["replace"]), _listed(edit["by"])
        if len(olds) != len(news):
            raise CourseError(f"{self.name}: as many texts in by as in replace")
        for old, new in zip(olds, news, strict=True):
            if text.count(old) != 1:
                raise CourseError(f"{self.name}: {old!r} occurs {text.count(old)} times in the "
                                  "solution; expected once")
            text = text.replace(old, new)
        return text


def _listed(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


def read_exercise(folder: Path) -> Exercise:
    """The exercise in a folder; raises CourseError for what is not one."""
    found = _FOLDER.fullmatch(folder.name)
    if not found:
        raise CourseError(f"{folder}: expected a folder named like 05_softmax")
    missing = [name for name in ("exercise.py", "exercise.toml", "grade.py")
               if not (folder / name).is_file()]
    if missing:
        raise CourseError(f"{folder} has no {' and no '.join(missing)}")
    toml = folder / "exercise.toml"
    about = check_type(parse_toml(read_text(toml, CourseError), toml, CourseError), About, toml,
                       CourseError)
    return Exercise(int(found[1]), found[2], folder,
                    read_text(folder / "exercise.py", CourseError), about)


def read_course(folder: Path | None = None) -> Sequence[Exercise]:
    """The exercises of a folder in order, npgpt's own by default; CourseError if there are none."""
    folder = BUILT_IN if folder is None else folder
    if not folder.is_dir():
        raise CourseError(f"{folder} is not a folder of exercises")
    found = [read_exercise(path) for path in sorted(folder.iterdir())
             if path.is_dir() and _FOLDER.fullmatch(path.name)]
    if not found:
        raise CourseError(f"{folder} has no exercises; expected folders such as 05_softmax, each "
                          "with exercise.py, exercise.toml and grade.py")
    return found
