"""What may have been done to get a value: the mistakes tried, one and two at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ...arrays import Array
from ..evidence.fault import Fault
from .compare import (
    FEW,
    Leaves,
    exact,
    factor,
    factor_sources,
    factor_word,
    gap,
    general,
    leaves,
    size,
    tolerance,
)
from .program import Inputs, Program, Settings, Variant

PAIRS = 2500    # of mistakes that are tried
BARE = 3        # the cost of a factor of no known source
STEPS = 12      # towards the value that a mistake was made with
AFTER = ("wrong-sign", "transposed", "axes-swapped", "shifted")     # what may be done at the end


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


def own(program: Program) -> list[Variant]:
    """The mistakes that can be made together."""
    return [variant for variant in program.mistakes() if variant.function is None]


def single(program: Program, point: Point) -> Iterator[list[Guess]]:
    """One mistake: those of the program, then those that any value may have."""
    for variant in program.mistakes():
        yield [_named(program, [variant], point.settings)]
        for style in program.conventions:
            yield [_named(program, [style, variant], point.settings)]
    right = Guess(Fault("", ""), lambda other: other.right)
    for guess in _whole(right, point):
        yield [guess]


def fitted(program: Program, points: list[Point]) -> Iterator[list[Guess]]:
    """A mistake whose sentence has a {value}, made with the one that gives what was given."""
    point = points[0]
    if len(points) == 1 and sum(a.size for a in point.got.values()) < FEW:
        return      # one number is met by some value of anything
    starts: dict[str, list[Variant]] = {}
    for variant in own(program):
        if "{value" in variant.sentence and math.isfinite(variant.value):
            starts.setdefault(variant.kind, []).append(variant)
    for variants in starts.values():
        value = _value_of(program, variants, point)
        if value is not None:
            yield [_named(program, [replace(variants[0], value=value)], point.settings)]


def pairs(program: Program, point: Point) -> Iterator[list[Guess]]:
    """Two mistakes: first those that together come near, or are usual; see `PAIRS`."""
    mine = own(program)
    alone = [_named(program, [variant], point.settings) for variant in mine]
    made = [guess.predict(point) for guess in alone]
    both = [(i, j) for i, j in itertools.combinations(range(len(mine)), 2)
            if mine[i].kind != mine[j].kind]
    usual = {pair: n for n, pair in enumerate(sorted(both, key=sum))}
    left = _left_over(made, point)
    near = {pair: n for n, pair in enumerate(sorted(both, key=lambda pair: float(left[pair])))}
    for i, j in sorted(both, key=lambda pair: min(near[pair], usual[pair]))[:PAIRS]:
        yield [alone[i], _named(program, [mine[i], mine[j]], point.settings)]
    # one number is some multiple of whatever a mistake gives
    many = sum(a.size for a in point.got.values()) >= FEW
    for guess, predicted in zip(alone, made, strict=True):
        if predicted is not None and size(predicted):
            yield from ([guess, last] for last in _whole(guess, replace(point, right=predicted))
                        if last.fault.kind in AFTER or (many and last.fault.kind == "factor"))


def _named(program: Program, variants: Iterable[Variant], settings: Settings) -> Guess:
    variants = list(variants)
    last = variants[-1]

    def predict(point: Point) -> Leaves | None:
        try:
            return leaves(program.value(point.inputs, point.settings, variants))
        except (ArithmeticError, LookupError, TypeError, ValueError):   # it cannot be made here
            return None

    return Guess(Fault(last.kind, program.sentence(last, settings), cost=1), predict)


def _whole(base: Guess, point: Point) -> Iterator[Guess]:
    """What may have been done to all of a value, which is `point.right`; `base` gives it."""
    def after(change: Callable[[Point, Leaves], Leaves | None]) -> Callable[
            [Point], Leaves | None]:
        def predict(other: Point) -> Leaves | None:
            value = base.predict(other)
            return None if value is None else change(other, value)
        return predict

    for n, (mistake, _) in enumerate(general(point.right)):
        def change(other: Point, value: Leaves, n: int = n) -> Leaves | None:
            return next((made for _, made in itertools.islice(general(value), n, n + 1)), None)

        yield Guess(Fault(mistake.kind, mistake.sentence, cost=2), after(change))
    c = factor(point.right, point.got)
    for word, number in factor_sources(c, point.sizes) if c and abs(c + 1) > 1e-6 else ():
        def scaled(
            other: Point, value: Leaves, word: str = word, number: float = number
        ) -> Leaves | None:
            # at other sizes the factor has the same source, not the same value
            again = factor(value, other.got)
            if again is None or not any(
                    there == word and ((c > 1) == (number > 1) if word else c == number)
                    for there, c in factor_sources(again, other.sizes)):
                return None
            return {key: again * a for key, a in value.items()}

        yield Guess(Fault("factor", factor_word(word, number), cost=2 if word else BARE),
                    after(scaled))


def _flat(value: Leaves | None, like: Leaves) -> Array | None:
    """All numbers in one row; None where they are not laid out as those of `like`."""
    if value is None or gap(value, like) == math.inf or any(
            a.dtype == object for a in value.values()):
        return None
    return np.concatenate([value[key].astype(float).ravel() for key in like])


def _left_over(made: list[Leaves | None], point: Point) -> Array:
    """What is left of the difference if two mistakes add up, for each two; inf where none do."""
    right, got = _flat(point.right, point.right), _flat(point.got, point.right)
    rows = [_flat(value, point.right) for value in made]
    if right is None or got is None or not rows:
        return np.full((len(made), len(made)), math.inf)
    effects = np.array([np.full_like(right, math.inf) if row is None else row - right
                        for row in rows])
    with np.errstate(all="ignore"):
        toward, square = effects @ (got - right), effects @ effects.T
        alone = np.diag(square) - 2 * toward
        left = alone[:, None] + alone + 2 * square
    return np.where(np.isfinite(left), left, math.inf)


@np.errstate(all="ignore")
def _value_of(program: Program, starts: list[Variant], point: Point) -> float | None:
    """The value with which a mistake gives what was given, by Newton's steps from one tried."""
    wanted, right = _flat(point.got, point.right), _flat(point.right, point.right)
    if wanted is None:
        return None

    def made(value: float) -> Array | None:
        guess = _named(program, [replace(starts[0], value=value)], point.settings)
        return _flat(guess.predict(point), point.right)

    def off(row: Array | None) -> float:
        return math.inf if row is None else float(np.linalg.norm(row - wanted))

    value = min((variant.value for variant in starts), key=lambda value: off(made(value)))
    row = made(value)
    for _ in range(STEPS):
        width = 1e-4 * (abs(value) or 1e-6)
        aside = made(value + width)
        if row is None or aside is None or not off(row):
            break
        slope = (aside - row) / width
        step = float(slope @ (wanted - row)) / (float(slope @ slope) or math.inf)
        moved = made(value + step)
        if off(moved) >= 0.7 * off(row):
            break
        value, row = value + step, moved
    given = {"": wanted.astype(np.result_type(*point.got.values()))}
    for digits in range(1, 7):
        rounded = float(f"{value:.{digits}g}")
        row = made(rounded)
        if row is not None and right is not None and exact({"": row}, {"": right}, given):
            return rounded
    return None
