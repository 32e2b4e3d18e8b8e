"""The author's check of a course: every claim of every exercise, tried.

The stub fails as not begun, the solution passes, each listed wrong answer gets exactly its
diagnosis, no planted fault passes, no hint holds a line of the solution, the file runs alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .examine import NOT_BEGUN, PASSED, WRONG, examine, grader, loaded
from .exercise import Exercise, Planted, WrongAnswer
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


def verify(course: Sequence[Exercise]) -> Iterator[Trial]:
    """Try every claim of a course, one after the other."""
    names = [exercise.name for exercise in course]
    for exercise in course:
        twice = names.count(exercise.name) > 1
        yield Trial(exercise.name, "its name is its own", "another has the same" if twice else "")
        for claim, problem in _claims(exercise):
            yield Trial(exercise.name, claim, problem)


def _claims(exercise: Exercise) -> Iterator[tuple[str, str]]:
    about = exercise.about
    yield "it says how hard, important and long it is", _missing_estimate(exercise)
    yield "the stub fails as not begun", _stub(exercise)
    yield "the stub runs alone, and says what is not begun", _alone(exercise, exercise.stub, True)
    result = examine(exercise, exercise.solution, every=True)
    yield "the solution passes", "" if result.status == PASSED else (
        result.message or "; ".join(f.kind + ": " + f.text for f in result.findings))
    yield "the solution runs alone", _alone(exercise, exercise.solution, False)
    for wrong in about["wrong"]:
        yield f"wrong answer: {wrong['name']}", _wrong(exercise, wrong)
    for planted in about.get("fault", []):
        yield f"planted fault: {planted['kind']}", _wrong(exercise, planted)
    count = len(about.get("fault", []))
    yield "two faults are planted, or none", "" if count in (0, PLANTED) else f"there are {count}"
    yield "three hints, which hold no line of the solution", _hints(exercise)
    yield "a pass says one thing worth knowing", _after(exercise)


def _missing_estimate(exercise: Exercise) -> str:
    try:
        return "" if exercise.estimate else "none"
    except ValueError as error:
        return str(error)


def _stub(exercise: Exercise) -> str:
    if not regions(exercise.solution):
        return "there are no marks"
    result = examine(exercise, exercise.stub)
    return "" if result.status == NOT_BEGUN and not result.right else (
        f"its status is {result.status!r}, after {len(result.right)} right steps")


def _alone(exercise: Exercise, source: str, stub: bool) -> str:
    """Run a file as Python runs it by itself."""
    import contextlib
    import io

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
    says = wrong.get("says", [])
    text = " ".join(found.text.split())
    missing = [words for words in ([says] if isinstance(says, str) else says)
               if " ".join(words.split()) not in text]     # type: ignore[union-attr]
    return f"it does not say {missing[0]!r}: {text}" if missing else ""


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


def _after(exercise: Exercise) -> str:
    return "" if note_of(exercise) else "give `after` in exercise.toml or after() in grade.py"


def note_of(exercise: Exercise) -> str:
    """The one thing worth knowing after a pass: `after` in exercise.toml, or after() of grade.py,
    which computes its numbers."""
    after = getattr(grader(exercise), "after", None)
    return str(after()) if after else exercise.about.get("after", "")
