"""What the course says in a terminal: lines of 80 columns, with colour or without."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..display.terminal import WIDTH, bar, tint
from ..doctor import KINDS, value_kinds
from .examine import NOT_BEGUN, PASSED, WRONG, Result
from .exercise import Exercise, WrongAnswer
from .marks import MARK, written
from .verify import note_of

HUES = {PASSED: "green", NOT_BEGUN: "bold", WRONG: "orange"}
SHORT = 6       # lines of a wrong answer that are shown


def wrap(text: str, indent: str = "") -> list[str]:
    """Each line of a text in lines of at most 80 columns."""
    return [line for paragraph in text.splitlines() for line in textwrap.wrap(
        paragraph, WIDTH, initial_indent=indent, subsequent_indent=indent,
        break_on_hyphens=False) or [""]]


def of_course(course: Sequence[Exercise], folder: str) -> Iterator[str]:
    """What the course is, for somebody who has not begun."""
    hours = round(sum(exercise.estimate[2] for exercise in course) / 60)
    yield from wrap(f"A course in {len(course)} exercises, about {hours} hours in all (estimated): "
                    "from a difference quotient to a GPT-2 that trains with layers of your own. "
                    "You need NumPy and derivatives, nothing else.")
    yield ""
    yield f"  npgpt learn start        write the exercises into the folder {folder}"
    yield "  npgpt learn --help       all commands"


def of_list(course: Sequence[Exercise], results: Sequence[Result], colour: bool) -> Iterator[str]:
    """The course as a table: number, name, marks, minutes, status, and how much is done."""
    yield f"{'':3} {'exercise':17} {'hard':5} {'worth':5} {'min.':>4}  {'status':9}  what it is"
    for exercise, result in zip(course, results, strict=True):
        hard, weight, minutes = exercise.estimate
        begun = result.status != NOT_BEGUN
        status = tint(f"{result.status:9}", HUES[result.status], colour and begun)
        goal = textwrap.shorten(exercise.about["title"], WIDTH - 51, placeholder=" ...")
        yield (f"{exercise.number:3} {exercise.name:17} {'*' * hard:5} {'*' * weight:5} "
               f"{minutes:>4}  {status}  {goal}")
    yield ""
    yield of_progress(results)


def of_progress(results: Sequence[Result]) -> str:
    """How many passed, as a bar."""
    done = sum(result.status == PASSED for result in results)
    return f"[{bar(done / len(results), 40)}] {done} of {len(results)} passed"


def of_exercise(exercise: Exercise, path: Path, colour: bool) -> Iterator[str]:
    """Where to go on: the title, how long it takes, the goal, the file."""
    hard, weight, minutes = exercise.estimate
    yield tint(f"{exercise.number}. {exercise.about['title']}", "bold", colour)
    yield from wrap(exercise.about["goal"], "   ")
    yield (f"   difficulty {hard} of 5, importance {weight} of 5, about {minutes} minutes "
           "(estimated)")
    yield f"   write in  {path}"
    yield f"   check it  npgpt learn check {exercise.name}"
    yield f"   a hint    npgpt learn hint {exercise.name}"


def of_result(result: Result, every: bool, colour: bool) -> Iterator[str]:
    """What a check says: what is right so far, and one finding, or all."""
    yield tint(f"{result.name}: {result.status}", HUES[result.status], colour)
    if result.right and result.status != PASSED:
        yield from wrap("right so far: " + "; ".join(result.right), "   ")
    if result.status == NOT_BEGUN:
        yield from wrap(result.message, "   ")
    for finding in result.findings:
        yield ""
        yield "   " + tint(finding.kind, "bold", colour)
        yield from wrap(finding.text, "   ")
        if finding.picture:
            yield from (f"   {line}"[:WIDTH] for line in finding.picture.splitlines())
        if finding.kind in KINDS or finding.kind in value_kinds():
            yield f"   what this is, and how to find it by hand: npgpt explain {finding.kind}"
    if result.findings and not every:
        yield ""
        if result.findings[0].step != "imports":    # else nothing was looked at after it
            yield f"all findings   npgpt learn check {result.name} --all"
        yield f"a hint         npgpt learn hint {result.name}"
    if result.printed.strip():
        lines = result.printed.rstrip().splitlines()
        yield ""
        yield "your code printed:"
        yield from (f"   {line}"[:WIDTH] for line in lines)


def of_pass(exercise: Exercise, source: str, colour: bool) -> Iterator[str]:
    """What follows a pass: a note, the solution, the nearest wrong answer, the next step."""
    yield ""
    yield tint("Worth knowing", "bold", colour)
    yield from wrap(note_of(exercise), "   ")
    near = nearest(exercise, source)
    if near is not None:
        yield ""
        for line in wrap(f"A wrong answer that people give: {near['name']}"):
            yield tint(line, "bold", colour)
        for words, block in zip(("in place of, in the solution,", "they write"),
                                edited(exercise, near), strict=True):
            yield f"   {words}"
            yield from (f"       {line}".rstrip()[:WIDTH] for line in _cut(block))
        yield from wrap(f"It is named {near['kind']}. {near['breaks']}", "   ")
    yield ""
    yield "A solution, to compare with yours"
    yield f"   {exercise.place}"
    yield ""
    if exercise.about.get("fault"):
        yield f"One step without the doctor: npgpt learn fault {exercise.name}"
    yield "Then: npgpt learn next"


def edited(exercise: Exercise, edit: WrongAnswer) -> tuple[list[str], list[str]]:
    """The solution's lines that an edit replaces, and what it puts there, from the first that
    differs to the last, as far to the left as they go."""
    old = without_marks(exercise.solution).splitlines()
    new = without_marks(exercise.changed(edit)).splitlines()
    first = next((n for n, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
    behind = zip(reversed(old[first:]), reversed(new[first:]))
    last = next((n for n, (a, b) in enumerate(behind) if a != b), min(len(old), len(new)) - first)
    before, after = old[first:len(old) - last], new[first:len(new) - last]
    lines = textwrap.dedent("\n".join([*before, *after])).split("\n")
    return lines[:len(before)], lines[len(before):]


def _cut(block: list[str]) -> list[str]:
    if not block:
        return ["(nothing)"]
    return block if len(block) <= SHORT else [*block[:SHORT], "..."]


def nearest(exercise: Exercise, source: str) -> WrongAnswer | None:
    """The listed wrong answer whose code is most like the learner's, of those that are shown in a
    few lines if there are any."""
    mine = "\n".join(written(source))

    def alike(wrong: WrongAnswer) -> tuple[bool, float]:
        theirs = "\n".join(written(exercise.changed(wrong)))
        ratio = difflib.SequenceMatcher(None, mine, theirs, autojunk=False).ratio()
        return max(map(len, edited(exercise, wrong))) <= SHORT, ratio

    return max(exercise.about["wrong"], key=alike, default=None)


def code(lines: list[tuple[int, str]]) -> Iterator[str]:
    """Lines of code with their numbers, the long ones wrapped."""
    for number, line in lines:
        indent = line[:len(line) - len(line.lstrip())]
        parts = textwrap.wrap(
            line.strip(), WIDTH - 6, initial_indent=indent, break_on_hyphens=False,
            subsequent_indent=f"{indent}        ") or [""]
        for n, part in enumerate(parts):
            yield f"{'' if n else number:4}  {part}".rstrip()


def of_hint(exercise: Exercise, number: int) -> Iterator[str]:
    """One of the three hints, and how to see the one after."""
    hints = exercise.about["hints"]
    yield f"{exercise.name}, hint {number} of {len(hints)}"
    yield from wrap(hints[number - 1], "   ")
    if number < len(hints):
        yield f"another: npgpt learn hint {exercise.name} {number + 1}"
    else:
        yield f"that was the last; a solution: npgpt learn solution {exercise.name} --give-up"


def of_reset(folder: Path, copies: Mapping[Exercise, Path | None]) -> list[str]:
    """Which files are stubs again, and where the copies are that were kept."""
    return [f"{folder / exercise.file} is as it was at first"
            + (f"; yours is kept as {copy}" if copy else "") for exercise, copy in copies.items()]


def without_marks(source: str) -> str:
    """A source without the lines of marks, to be read."""
    return "\n".join(line for line in source.splitlines()
                     if not line.strip().startswith(MARK)) + "\n"
