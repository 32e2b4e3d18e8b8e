"""Find the fault: the same function three times, once right and twice wrong; which is right, and
why?

The wrong ones are those that the exercise plants, or drawn from the mutants, or from its wrong
answers: only such as the doctor names rightly, or it would teach a wrong name.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass

from ..display.terminal import tint
from .examine import Result, examine
from .exercise import Exercise
from .marks import MARK
from .mutants import ACCEPTED, edits
from .words import code, wrap

LETTERS = "ABC"
TRIED = 40      # mutants that are examined until two are named
# mistakes in the mathematics; the order of what is returned or a dtype is no exercise for paper
DRAWN = {"accumulated-twice", "factor", "mask-forgotten", "mask-inverted", "mean-for-sum",
         "missing-broadcast-sum", "missing-factor", "missing-term", "sum-for-mean", "term-factor",
         "term-sign", "transposed", "wrong-axis", "wrong-variable"}
Lines = list[tuple[int, str]]


@dataclass(frozen=True)
class Choice:
    """One of the three: its letter, what is shown of it, its whole source; `right` or not."""

    letter: str
    shown: str
    source: str
    right: bool


@dataclass(frozen=True)
class Answer:
    """Whether the learner's letter is the right one, and what the doctor says of the others."""

    correct: bool
    right: str
    results: dict[str, Result]


def question(exercise: Exercise, draw: int = 0) -> list[Choice]:
    """The three choices, in an order that depends on the exercise and on `draw` alone.

    Draw 0 has the faults that the exercise plants, if it does; the others come from the mutants of
    a backward, or from the wrong answers that people give. Raises ValueError where there is nothing
    to draw from.
    """
    chance = random.Random(f"{exercise.name} {draw}")
    planted = exercise.about.get("fault", [])
    drawn = list(_drawn(exercise, chance)) if draw or not planted else []
    if len(drawn) == 2:
        sources = [ast.unparse(ast.parse(exercise.solution)) + "\n", *(s for _, s in drawn)]
        names = {name for name, _ in drawn}
    else:
        wrong = ([exercise.changed(fault) for fault in planted] if planted and not draw
                 else _of_one_function(exercise, chance))
        if len(wrong) < 2:
            raise ValueError(f"{exercise.name} has no faults that could be planted")
        sources = [exercise.solution, *wrong]
        names = {name for other in wrong
                 for name in _different(_functions(sources[0]), _functions(other))}
    order = chance.sample(range(3), 3)
    return [Choice(letter, "\n".join(_shown(sources[n], sorted(names))), sources[n], n == 0)
            for letter, n in zip(LETTERS, order)]


def answered(exercise: Exercise, choices: list[Choice], letter: str) -> Answer:
    """What comes of a letter: the doctor examines the two that are wrong."""
    right = next(choice.letter for choice in choices if choice.right)
    results = {choice.letter: examine(exercise, choice.source) for choice in choices
               if not choice.right}
    return Answer(letter.upper() == right, right, results)


def of_question(
    exercise: Exercise, choices: list[Choice], options: str, command: bool, colour: bool
) -> Iterator[str]:
    """The three as lines, and the `command`, with its `options`, that answers where nobody is
    asked."""
    yield f"{exercise.about['title']}: one of these is right, two are wrong."
    forward = _forward(choices)
    if forward:
        yield from ("", "the forward, which is right:", *_shown(choices[0].source, [forward]))
    for choice in choices:
        yield from ("", tint(f"{choice.letter}.", "bold", colour), choice.shown)
    yield from ("", "Which is right, and what is wrong with the others?")
    if command:
        yield f'npgpt learn fault {exercise.name}{options} --answer A --why "..."'


def of_answer(
    exercise: Exercise, answer: Answer, letter: str, why: str, another: str, colour: bool
) -> Iterator[str]:
    """Whether the letter is right, the doctor's reasons, and beside them the learner's; `another`
    are the options that draw again."""
    verdict = "." if answer.correct else f"; {letter.upper()} is not."
    yield tint(f"{answer.right} is right{verdict}", "green" if answer.correct else "orange", colour)
    for wrong, result in answer.results.items():
        found = result.findings[0]
        yield from ("", f"{wrong} is wrong. The doctor says: {found.kind}")
        for text in (found.message, *found.details):
            if not text.startswith("Evidence:"):
                yield from wrap(text, "   ")
    if why:
        yield ""
        yield from wrap(f"Your reason, which only you judge: {why}")
        yield from wrap(f"Did you name the same: "
                        f"{', '.join(r.findings[0].kind for r in answer.results.values())}?")
    yield from ("", f"another three: npgpt learn fault {exercise.name}{another}")


def _of_one_function(exercise: Exercise, chance: random.Random) -> list[str]:
    """Two of the wrong answers that people give, if possible in the same function: for programs,
    which have no backward."""
    wrong = [exercise.changed(answer) for answer in exercise.about["wrong"]]
    chance.shuffle(wrong)
    right = _functions(exercise.solution)
    where = [_different(right, _functions(source)) for source in wrong]
    same = [source for source, place in zip(wrong, where) if place == where[0]]
    wrong = same if len(same) > 1 else wrong
    return wrong[:2]


def _drawn(exercise: Exercise, chance: random.Random) -> Iterator[tuple[str, str]]:
    """Two mutants of one backward that the doctor names rightly, of two kinds: the function's name
    and the whole source."""
    tree = ast.parse(exercise.solution)
    functions = [node for node in tree.body
                 if isinstance(node, ast.FunctionDef) and node.name.endswith("_backward")]
    if not functions:
        return
    function = chance.choice(functions)
    place = tree.body.index(function)
    mutants = [edit for edit in edits(function)
               if edit[0] in DRAWN and not edit[1].startswith("return ")]
    kinds: set[str] = set()
    for kind, _, mutant in chance.sample(mutants, min(TRIED, len(mutants))):
        body = [*tree.body[:place], mutant, *tree.body[place + 1:]]
        source = ast.unparse(ast.fix_missing_locations(ast.Module(body, []))) + "\n"
        findings = examine(exercise, source).findings if kind not in kinds else ()
        if findings and findings[0].step == "gradient" and findings[0].kind in ACCEPTED[kind]:
            kinds.add(kind)
            yield function.name, source
            if len(kinds) == 2:
                return


def _functions(source: str) -> dict[str, Lines]:
    """The numbered lines of each function of a source, and of each method under its class, without
    marks and docstring."""
    lines = source.splitlines()
    found = {}
    for node in ast.parse(source).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        for part in inside:
            if not isinstance(part, ast.FunctionDef):
                continue
            hidden: set[int] = set()
            first = part.body[0]
            if len(part.body) > 1 and ast.get_docstring(part) is not None:
                hidden = {*range(first.lineno, (first.end_lineno or 0) + 1)}
            kept = [(n, lines[n - 1]) for n in range(part.lineno, (part.end_lineno or 0) + 1)
                    if n not in hidden and not lines[n - 1].strip().startswith(MARK)]
            above = [] if part is node else [(node.lineno, lines[node.lineno - 1])]
            name = part.name if part is node else f"{lines[node.lineno - 1]} {part.name}"
            found[name] = [*above, *kept]
    return found


def _shown(source: str, names: list[str]) -> list[str]:
    """The functions with these names, with the numbers that their lines have in the source."""
    functions = _functions(source)
    return [line for n, name in enumerate(names)
            for line in [*[""] * (n > 0), *code(functions[name])]]


def _forward(choices: list[Choice]) -> str:
    """The forward of the backward that is asked about, if all three have the same; else ""."""
    sources = [_functions(choice.source) for choice in choices]
    names = _different(sources[0], sources[1]) + _different(sources[0], sources[2])
    forwards = {name.replace("_backward", "_forward") for name in names}
    return next((name for name in sorted(forwards - {*names}) if name in sources[0]
                 and all(source[name] == sources[0][name] for source in sources)), "")


def _different(before: dict[str, Lines], after: dict[str, Lines]) -> list[str]:
    return [name for name, lines in before.items()
            if [text for _, text in lines] != [text for _, text in after.get(name, [])]]
