"""Which mistake is it? The cheapest that predicts what was given, at every input tried."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ...arrays import Array
from ..evidence.fault import Fault
from .compare import (
    Leaves,
    explains,
    factor,
    factor_sources,
    factor_word,
    first_difference,
    gap,
    general,
    leaves,
    size,
    tolerance,
)
from .program import Inputs, Program, Settings, Variant

PAIRS = 700     # of mistakes that are tried
# what has no name and is off by less, of its size, is taken for rounding
ROUNDED = 3e-5


@dataclass(frozen=True)
class Point:
    """One call: inputs, settings, the right value and the one given; `names` are of axes."""

    inputs: Inputs
    settings: Settings
    right: Leaves
    got: Leaves
    sizes: Mapping[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the value given is right, up to rounding."""
        return gap(self.right, self.got) <= tolerance(self.got) * size(self.right) + 1e-14


@dataclass(frozen=True)
class Guess:
    """A mistake that may have been made, and what it gives at a point, or None."""

    fault: Fault
    predict: Callable[[Point], Leaves | None]


@dataclass(frozen=True)
class ValueReport:
    """Whether a value is right, and if not what explains it.

    `findings` has the mistake, or both if two were made; `others` are mistakes that would give the
    same; `where`, `expected` and `got` are of the first element that differs, and `elsewhere` says
    so where that is at other inputs than the caller's.
    """

    name: str
    findings: tuple[Fault, ...] = ()
    others: tuple[Fault, ...] = ()
    where: str = ""
    expected: str = ""
    got: str = ""
    elsewhere: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything is right."""
        return not self.findings

    @property
    def kinds(self) -> list[str]:
        """The kinds of the findings."""
        return [fault.kind for fault in self.findings]

    def __str__(self) -> str:
        if self.ok:
            note = textwrap.fill(f"  {self.elsewhere}", 80, subsequent_indent="    ")
            return f"{self.name}: right" + f"\n{note}" * bool(self.elsewhere)
        lines = [f"{self.name}: wrong"]
        for fault in self.findings:
            lines.append(f"  {fault.kind}: {fault.sentence}")
            lines += [f"    {fault.evidence}"] if fault.evidence else []
        lines += [f"  or {fault.kind}: {fault.sentence}" for fault in self.others]
        if self.where or self.expected:
            place = f"at {self.where}: " if self.where else ""
            lines.append(f"  {place}expected {self.expected}, got {self.got}")
        lines += [f"  {self.elsewhere}"] if self.elsewhere else []
        lines.append(f"  npgpt explain {self.findings[0].kind}")
        return "\n".join(textwrap.fill(line, 80, subsequent_indent="    ") for line in lines)


def diagnose(points: list[Point], program: Program) -> ValueReport:
    """What explains the value at the first point where it is wrong, and agrees with the others."""
    wrong = next((point for point in points if not point.ok), None)
    if wrong is None:
        return ValueReport(program.name)
    difference = first_difference(wrong.right, wrong.got) or ("", "", "")
    faults, others = _choose([wrong, *(p for p in points if p is not wrong)], program)
    if not faults:
        faults = [_unnamed(wrong, points, pairs=len(_own(program)) > 1)]
    return ValueReport(program.name, tuple(faults), tuple(others), *difference)


def _choose(points: list[Point], program: Program) -> tuple[list[Fault], list[Fault]]:
    """The cheapest mistake, or pair, that predicts what was given at every point."""
    point, others = points[0], points[1:]
    nearly: list[Fault] = []
    for guesses in (_single(program, point), _pairs(program, point.settings)):
        found: list[tuple[float, list[Guess]]] = []
        for group in guesses:
            predicted = group[-1].predict(point)
            if predicted is None or (len(group) > 1 and not size(predicted)):
                continue    # two mistakes that leave no number would explain too much
            if explains(predicted, point.right, point.got):
                misses = [other for other in others if not _fits(group[-1], other)]
                explained = sum(not p.ok for p in points) - len(misses)
                if not misses:
                    found.append((gap(predicted, point.got), group))
                elif len(misses) == 1 and not misses[0].ok and explained > 2 and not nearly:
                    nearly = [replace(group[-1].fault, evidence=(
                        f"it explains {len(points) - 1} of the {len(points)} inputs tried"))]
        if found:
            room = 10 * min(off for off, _ in found) + 0.1 * tolerance(point.got) * size(point.got)
            first, *rest = (group for off, group in found if off <= room)
            faults = [guess.fault for guess in first]
            same = {fault.kind: fault for group in rest for fault in [group[-1].fault]
                    if len(first) == 1 and fault.cost <= faults[0].cost}
            same.pop(faults[0].kind, None)
            return faults, [*same.values()][:2]
        if nearly:
            return nearly, []
    return [], []


def _fits(guess: Guess, point: Point) -> bool:
    predicted = guess.predict(point)
    if predicted is None:
        return False
    if point.ok:    # here the mistake must change nothing
        return gap(predicted, point.got) <= 2 * tolerance(point.got) * size(point.right) + 1e-14
    return explains(predicted, point.right, point.got)


def _named(program: Program, variants: Iterable[Variant], settings: Settings) -> Guess:
    variants = list(variants)
    last = variants[-1]

    def predict(point: Point) -> Leaves | None:
        try:
            return leaves(program.value(point.inputs, point.settings, variants))
        except (ArithmeticError, LookupError, TypeError, ValueError):   # it cannot be made here
            return None

    return Guess(Fault(last.kind, program.sentence(last, settings), cost=1), predict)


def _single(program: Program, point: Point) -> Iterator[list[Guess]]:
    for variant in program.mistakes():
        yield [_named(program, [variant], point.settings)]
        for style in program.conventions:
            yield [_named(program, [style, variant], point.settings)]
    for n, (mistake, _) in enumerate(general(point.right)):
        def change(other: Point, n: int = n) -> Leaves | None:
            return dict(enumerate(general(other.right)))[n][1]

        yield [Guess(Fault(mistake.kind, mistake.sentence, cost=2), change)]
    c = factor(point.right, point.got)
    for word, number in factor_sources(c, point.sizes) if c is not None else ():
        def scaled(other: Point, word: str = word, number: float = number) -> Leaves | None:
            # at other sizes the factor has the same source, not the same value
            again = factor(other.right, other.got)
            if again is None or not any(
                    there == word and ((value > 1) == (number > 1) if word else value == number)
                    for there, value in factor_sources(again, other.sizes)):
                return None
            return {key: again * a for key, a in other.right.items()}

        yield [Guess(Fault("factor", factor_word(word, number), cost=2), scaled)]


def _pairs(program: Program, settings: Settings) -> Iterator[list[Guess]]:
    own = _own(program)
    pairs = [pair for pair in itertools.combinations(own, 2) if pair[0].kind != pair[1].kind]
    for first, second in sorted(pairs, key=lambda p: own.index(p[0]) + own.index(p[1]))[:PAIRS]:
        alone = _named(program, [first], settings)
        yield [alone, _named(program, [first, second], settings)]


def _own(program: Program) -> list[Variant]:
    """The mistakes that can be made together."""
    return [variant for variant in program.mistakes() if variant.function is None]


def _unnamed(point: Point, points: list[Point], pairs: bool) -> Fault:
    right, got = point.right, point.got
    for key, a in right.items():
        if key in got and got[key].shape != a.shape:
            same = got[key].size == a.size
            return Fault("wrong-shape", "the numbers are laid out in another shape" if same else
                         f"it has shape {got[key].shape}, expected {a.shape}")
        if key in got and a.dtype.kind == "f" and not np.isfinite(got[key]).all() \
                and np.isfinite(a).all():
            return Fault("not-finite", "it holds NaN or infinity, where all numbers are finite: "
                         "look for a division by 0, a logarithm or a root of what may be 0 or "
                         "less, an exp of what may be large")
    if right.keys() != got.keys():
        return Fault("wrong-count", f"it gives {len(got)} values, expected {len(right)}")
    off = max(gap(p.right, p.got) / (size(p.right) or 1.0) for p in points)
    if off < ROUNDED:
        return Fault("float32", f"it is right to about {-math.log10(off):.0f} digits only: did a "
                     "step run in float32, or has a constant too few digits?")
    wrong, total, where = 0, 0, ""
    for key, a in right.items():
        if a.dtype != object and got[key].dtype != object:
            room = tolerance(got) * size({key: a}) / max(a.size, 1) ** 0.5
            differs = ~(np.abs(a - got[key]) <= room)
            wrong += int(differs.sum())
            total += a.size
            parts = (_part(differs, axis) for axis in range(a.ndim))
            where = "".join(parts) if len(right) == 1 else ""
    count = f"all {total}" if wrong == total else f"{wrong} of {total}"
    many = f": {count} numbers are wrong{where}" if total > 1 else ""
    known = "no known mistake, nor two of them," if pairs else "no known mistake"
    return Fault("unexplained", f"{known} gives these values{many}")


def _part(off: Array, axis: int) -> str:
    """Where along an axis the wrong numbers lie, if not everywhere."""
    hit = np.flatnonzero(off.any(tuple(a for a in range(off.ndim) if a != axis)))
    if len(hit) in (0, off.shape[axis]):
        return ""
    if len(hit) > 1 and (np.diff(hit) == 1).all():
        return f"; along axis {axis} only those from {hit[0]} to {hit[-1]}"
    return f"; along axis {axis} only {', '.join(str(n) for n in hit[:6])}"
