"""The author's check of a course: every claim of every exercise, tried.

The stub fails as not begun, the solution and each other correct form pass, each wrong answer gets
exactly its diagnosis, no planted fault passes, no hint holds a line of the solution, the file runs
alone.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ..suggest import one_line
from .examine import NOT_BEGUN, PASSED, WRONG, examine, grader, loaded
from .exercise import Exercise, Planted, RightAnswer, WrongAnswer
from .marks import NotBegun, regions, written

HINTS = 3
PLANTED = 2
SHORT = 8   # a line of fewer characters, such as `else:`, gives nothing away


@dataclass(frozen=True)
class Trial:
    """One claim, and what is wrong with it: "" where it holds."""

    exercise: str
    claim: str
    problem: str = ""


def verify(
    course: Sequence[Exercise], wanted: Callable[[str], bool] = lambda claim: True
) -> Iterator[Trial]:
    """Try every claim of a course, one after the other, or those that are `wanted`."""
    names = Counter(exercise.name for exercise in course)
    for exercise in course:
        for claim, problem in _claims(exercise, names[exercise.name]):
            if wanted(claim):
                yield Trial(exercise.name, claim, _tried(problem))


def _claims(exercise: Exercise, same: int) -> Iterator[tuple[str, Callable[[], str]]]:
    about = exercise.about
    yield "its name is its own", lambda: "another has the same" if same > 1 else ""
    yield "it says how hard, important and long it is", lambda: (
        "" if exercise.estimate else "none")
    yield "the stub fails as not begun", lambda: _stub(exercise)
    yield "the stub runs alone, and says what is not begun", lambda: _alone(
        exercise, exercise.stub, True)
    yield "the solution passes", lambda: _passes(exercise, exercise.solution)
    yield "the solution runs alone", lambda: _alone(exercise, exercise.solution, False)
    for right in about.get("right", []):
        yield f"another form passes: {right['name']}", partial(_form, exercise, right)
    for wrong in about["wrong"]:
        yield f"wrong answer: {wrong['name']}", partial(_wrong, exercise, wrong)
    for planted in about.get("fault", []):
        yield f"planted fault: {planted['kind']}", partial(_wrong, exercise, planted)
    count = len(about.get("fault", []))
    yield "two faults are planted, or none", lambda: (
        "" if count in (0, PLANTED) else f"there are {count}")
    yield "three hints, which hold no line of the solution", lambda: _hints(exercise)
    yield "a pass says one thing worth knowing", lambda: (
        "" if note_of(exercise) else "give `after` in exercise.toml or after() in grade.py")


def _tried(problem: Callable[[], str]) -> str:
    """What is wrong with a claim; of an author's mistake, such as an edit that does not fit, what
    was raised."""
    try:
        return problem()
    except Exception as error:      # the author's code: exercise.py, grade.py
        return one_line(f"{type(error).__name__}: {error}")


def _form(exercise: Exercise, right: RightAnswer) -> str:
    return _passes(exercise, exercise.changed(right))


def _passes(exercise: Exercise, source: str) -> str:
    result = examine(exercise, source, every=True)
    return "" if result.status == PASSED else (
        result.message or "; ".join(f"{f.kind}: {f.text}" for f in result.findings))


def _stub(exercise: Exercise) -> str:
    if not regions(exercise.solution):
        return "there are no marks"
    result = examine(exercise, exercise.stub)
    return "" if result.status == NOT_BEGUN and not result.right else (
        f"its status is {result.status!r}, after {len(result.right)} right steps")


def _alone(exercise: Exercise, source: str, stub: bool) -> str:
    """Run a file as Python runs it by itself."""
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            loaded(source, exercise.file, "__main__")
    except NotBegun:
        return "" if stub else "a part of the solution is not begun"
    except Exception as error:
        return f"it raised {type(error).__name__}: {error}"
    if stub:
        return "it ran to its end"
    return "" if out.getvalue().strip() else "it printed nothing"


def _wrong(exercise: Exercise, wrong: WrongAnswer | Planted) -> str:
    result = examine(exercise, exercise.changed(wrong))
    if result.status != WRONG:
        return f"its status is {result.status!r}; {result.message}"
    found = result.findings[0]
    if found.kind != wrong["kind"]:
        return f"expected {wrong['kind']}, got {found.kind}: {found.text}"
    text = " ".join(found.text.split())
    missing = [words for words in said(wrong) if " ".join(words.split()) not in text]
    return f"it does not say {missing[0]!r}: {text}" if missing else ""


def said(wrong: WrongAnswer | Planted) -> list[str]:
    """The phrases that the finding must hold."""
    says: str | list[str] = wrong.get("says", [])   # type: ignore[assignment]
    return [says] if isinstance(says, str) else says


def _hints(exercise: Exercise) -> str:
    hints = exercise.about["hints"]
    if len(hints) != HINTS:
        return f"there are {len(hints)}"
    lines = [line for line in written(exercise.solution)
             if len(line) >= SHORT and not line.startswith("#")]
    given = [line for hint in hints for line in lines if _code(line) in hint]
    return f"a hint holds {given[0]!r}" if given else ""


def _code(line: str) -> str:
    return line.partition("  #")[0].strip()


def note_of(exercise: Exercise) -> str:
    """The one thing worth knowing after a pass: `after` in exercise.toml, or after() of grade.py,
    which computes its numbers."""
    after = getattr(grader(exercise), "after", None)
    return str(after()) if after else exercise.about.get("after", "")
