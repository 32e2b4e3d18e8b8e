"""Which mistake is it? The cheapest that predicts what was given, at every input tried."""

from __future__ import annotations

import itertools
import math
import textwrap
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import Array
from ..evidence.fault import Fault
from .compare import Leaves, exact, explains, first_difference, gap, size, tolerance
from .guesses import BARE, PAIRS, Guess, Point, fitted, own, pairs, single
from .program import Program
from .shapes import shape_words

# what has no name and is off by less, of its size, is taken for rounding
ROUNDED, SINGLE = 3e-5, 1e-6


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
        faults = [_unnamed(wrong, points, program)]
    return ValueReport(program.name, tuple(faults), tuple(others), *difference)


@dataclass(frozen=True)
class _Match:
    """Mistakes that explain the value at the first point, and at which of the others not.

    `exact` says that they predict it to rounding at every point that they explain.
    """

    group: list[Guess]
    off: float
    exact: bool
    missed: list[Point]


def _match(group: list[Guess], points: list[Point]) -> _Match | None:
    predicted = group[-1].predict(points[0])
    if predicted is None or (len(group) > 1 and not (size(predicted) or _tokens(predicted))):
        return None     # two mistakes that leave no number would explain too much
    if not explains(predicted, points[0].right, points[0].got):
        return None
    exactly, missed = exact(predicted, points[0].right, points[0].got), []
    for point in points[1:]:
        there = group[-1].predict(point)
        if there is None or not (_unchanged(there, point) if point.ok else
                                 explains(there, point.right, point.got)):
            missed.append(point)
        elif not point.ok:
            exactly = exactly and exact(there, point.right, point.got)
    return _Match(group, gap(predicted, points[0].got), exactly, missed)


def _tokens(value: Leaves) -> bool:
    return any(a.dtype == object for a in value.values())


def _unchanged(predicted: Leaves, point: Point) -> bool:
    return gap(predicted, point.got) <= 2 * tolerance(point.got) * size(point.right) + 1e-14


def _choose(points: list[Point], program: Program) -> tuple[list[Fault], list[Fault]]:
    """The cheapest mistake, or pair, that predicts what was given at every point.

    Two that predict it to rounding come before one that comes near it, or fits all points but one.
    """
    rough: list[_Match] = []
    bare: list[_Match] = []
    for groups in (single(program, points[0]), fitted(program, points), pairs(program, points[0])):
        matches = [match for group in groups if (match := _match(group, points))]
        met = [match for match in matches if match.exact and not match.missed]
        named = [match for match in met if match.group[-1].fault.cost < BARE]
        if named:
            return _nearest(named, points[0])
        bare = bare or met      # a number alone says less than two mistakes that give it
        rough += [match for match in matches if len(match.group) == 1]
    if bare:
        return _nearest(bare, points[0])
    explained = sum(not point.ok for point in points) - 1
    whole = [match for match in rough if not match.missed]
    nearly = [match for match in rough if len(match.missed) == 1 and not match.missed[0].ok
              and explained > 2]
    if whole:
        faults, others = _nearest(whole, points[0])
        return [replace(faults[0], evidence=_remainder(whole, points[0]))], others
    return [replace(match.group[-1].fault, evidence=(
        f"it explains {len(points) - 1} of the {len(points)} inputs tried"))
        for match in nearly[:1]], []


def _nearest(matches: list[_Match], point: Point) -> tuple[list[Fault], list[Fault]]:
    """The first of the nearest, and others of no higher cost that give the same."""
    room = 10 * min(match.off for match in matches) + (
        0.1 * tolerance(point.got) * size(point.got))
    first, *rest = (match.group for match in matches if match.off <= room)
    faults = [guess.fault for guess in first]
    same = {fault.kind: fault for group in rest for fault in [group[-1].fault]
            if len(first) == 1 and fault.cost <= faults[0].cost}
    same.pop(faults[0].kind, None)
    return faults, [*same.values()][:2]


def _remainder(matches: list[_Match], point: Point) -> str:
    """What a mistake that only comes near leaves unexplained, in words."""
    off = min(match.off for match in matches)
    before = gap(point.right, point.got)
    part = off / (before if math.isfinite(before) else size(point.got))
    if off <= SINGLE * size(point.got):
        return f"{_digits(off / size(point.got))}; the rest is as small as float32's rounding"
    return (f"it explains all but {100 * part:.2g} % of the difference: there is a second, smaller "
            "one")


def _digits(off: float) -> str:
    return f"it predicts {-math.log10(off):.0f} digits"


def _unnamed(point: Point, points: list[Point], program: Program) -> Fault:
    right, got = point.right, point.got
    for key, a in right.items():
        if key in got and got[key].shape != a.shape:
            others = [p for p in points if p is not point]
            sides = [(p.right[key], p.got[key]) for p in (point, *others)
                     if p.right.keys() == right.keys() and p.got.keys() == got.keys()]
            return Fault("wrong-shape", shape_words(sides))
        if key in got and a.dtype.kind == "f" and not np.isfinite(got[key]).all() \
                and np.isfinite(a).all():
            return Fault("not-finite", "it holds NaN or infinity, where all numbers are finite: "
                         "look for a division by 0, a logarithm or a root of what may be 0 or "
                         "less, an exp of what may be large")
    if right.keys() != got.keys():
        return Fault("wrong-count", f"it gives {len(got)} values, expected {len(right)}")
    off = max(gap(p.right, p.got) / (size(p.right) or 1.0) for p in points)
    if off < ROUNDED:
        return Fault("float32", f"it is right to about {-math.log10(off):.0f} digits only: a step "
                     "in float32, a constant with few digits or an approximation gives that")
    wrong, total, where = 0, 0, ""
    for key, a in right.items():
        if a.dtype != object and got[key].dtype != object:
            room = tolerance(got) * size({key: a}) / max(a.size, 1) ** 0.5
            differs = ~(np.abs(a - got[key]) <= room)
            wrong += int(differs.sum())
            total += a.size
            parts = (_part(differs, axis) for axis in range(a.ndim))
            where = "".join(parts) if len(right) == 1 else ""
    numbers = f"all {total}" if wrong == total else f"{wrong} of {total}"
    many = f": {numbers} numbers are wrong{where}" if total > 1 else ""
    count = sum(a.kind != b.kind for a, b in itertools.combinations(own(program), 2))
    both = f", nor any of the {PAIRS} likeliest pairs," if count > PAIRS else (
        ", nor two of them together," if count else "")
    return Fault("unexplained", f"no known mistake{both} gives these values{many}")


def _part(off: Array, axis: int) -> str:
    """Where along an axis the wrong numbers lie, if not everywhere."""
    hit = np.flatnonzero(off.any(tuple(a for a in range(off.ndim) if a != axis)))
    if len(hit) in (0, off.shape[axis]):
        return ""
    if len(hit) > 1 and (np.diff(hit) == 1).all():
        return f"; along axis {axis} only those from {hit[0]} to {hit[-1]}"
    return f"; along axis {axis} only {', '.join(str(n) for n in hit[:6])}"
