"""What is wrong with a value: the mistake in a forward or a program that would give just that.

    diagnose_value("layernorm", my_layernorm)                       on inputs drawn here
    diagnose_value("layernorm", my_layernorm, x, weight, bias)      on yours, then on drawn ones
    diagnose_value("layernorm", out, x, weight, bias, eps=1e-5)     only the value is there
    diagnose_value(Program("mine", reference, [(kind, function, sentence), ...]), my_function, x)

Every known mistake is made on the same inputs, and its result compared with the one given. Where
two give the same, a function is called with other inputs until they part.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import textwrap
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..arrays import Array
from ..suggest import one_line, unknown
from .fault import Fault
from .values.catalogue import PROGRAMS
from .values.compare import (
    Leaves,
    explains,
    factor,
    factor_word,
    first_difference,
    gap,
    general,
    leaves,
    size,
    tolerance,
)
from .values.program import (
    Function,
    Inputs,
    Program,
    Settings,
    Value,
    Variant,
    accepted,
    as_given,
)

# inputs that a function is tried on besides those given, and how many pairs of mistakes are tried
DRAWS, PAIRS = 6, 700


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
    same; `where`, `expected` and `got` are of the first element that differs.
    """

    name: str
    findings: tuple[Fault, ...] = ()
    others: tuple[Fault, ...] = ()
    where: str = ""
    expected: str = ""
    got: str = ""

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
            return f"{self.name}: right"
        lines = [f"{self.name}: wrong"]
        for fault in self.findings:
            lines.append(f"  {fault.kind}: {fault.sentence}")
            lines += [f"    {fault.evidence}"] if fault.evidence else []
        lines += [f"  or {fault.kind}: {fault.sentence}" for fault in self.others]
        if self.where or self.expected:
            place = f"at {self.where}: " if self.where else ""
            lines.append(f"  {place}expected {self.expected}, got {self.got}")
        lines.append(f"  npgpt explain {self.findings[0].kind}")
        return "\n".join(textwrap.fill(line, 80, subsequent_indent="    ") for line in lines)


def diagnose_value(
    what: str | Program | Function, given: Value, *inputs: Value, **settings: Value
) -> ValueReport:
    """Name the mistake that gives what `given` is, or gives: a function, or the value itself.

    `what` is a name in PROGRAMS, a Program, or a right function; `inputs` and `settings` are those
    of the call. A function may give (out, cache), and may leave out settings that are drawn here.
    Raises ValueError for an unknown name, a setting that neither takes, and missing inputs.
    """
    program = _program(what)
    mine = given if callable(given) else None
    for name in settings:
        if not accepted(program.function, {name: 0}) and not (mine and accepted(mine, {name: 0})):
            raise ValueError(f"{program.name} has no setting {name!r}; expected "
                             f"{', '.join(_names(program))}")
    if mine is None:
        if not inputs:
            raise ValueError(f"a value of {program.name} needs its inputs: "
                             f"{', '.join(_names(program))}")
        return diagnose([_point(program, inputs, settings, given)], program)
    points: list[Point] = []
    calls = [(inputs, settings)] if inputs or settings and not program.draw else []
    for call in itertools.chain(calls, _drawn(program, settings)):
        try:
            point = _called(program, mine, *call)
        except _Raised as raised:
            if all(point.ok for point in points):
                return ValueReport(program.name, (raised.fault,))
            break       # it is wrong without that already
        points.append(point)
    if not points:
        raise ValueError(f"{program.name} draws no inputs: give those of the call")
    return diagnose(points, program)


def _program(what: str | Program | Function) -> Program:
    if isinstance(what, Program):
        return what
    if callable(what):
        return Program(getattr(what, "__name__", "the function"), what)
    if what not in PROGRAMS:
        raise unknown("program", what, PROGRAMS)
    return PROGRAMS[what]


def _drawn(program: Program, settings: Settings) -> Iterator[tuple[Inputs, Settings]]:
    for n in range(DRAWS if program.draw else 0):
        assert program.draw is not None
        inputs, drawn = program.draw(np.random.default_rng([2024, n]), settings, n)
        yield inputs, drawn | settings


def _right(program: Program, inputs: Inputs, settings: Settings) -> Leaves:
    """The right value; ValueError for inputs that it cannot be computed from."""
    try:
        return leaves(program.value(inputs, settings))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{program.name} cannot be computed from these inputs "
                         f"({one_line(str(error), 200)}); expected "
                         f"{', '.join(_names(program))}") from None


def _point(program: Program, inputs: Inputs, settings: Settings, got: Value) -> Point:
    inputs, got = program.observe(inputs, settings, got)
    right = _right(program, inputs, settings)
    if isinstance(got, (tuple, list)) and right.keys() == {""} and len(got) == 2 and not (
            np.isscalar(got[0]) or right[""].dtype == object):
        got = got[0]    # (out, cache)
    point = Point(inputs, settings, right, leaves(got), _sizes(inputs, settings))
    for variant in program.conventions:
        other = replace(point, right=leaves(program.value(inputs, settings, [variant])))
        if other.ok:
            return other
    return point


class _Raised(Exception):
    """The user's function gave nothing to compare; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.sentence)
        self.fault = fault


def _called(program: Program, mine: Function, inputs: Inputs, settings: Settings) -> Point:
    if program.observe is as_given:
        _right(program, inputs, settings)
    given = copy.deepcopy(inputs)
    try:
        with np.errstate(all="ignore"):
            got = program.run(mine, given, _required(program, mine) | copy.deepcopy(settings))
    except Exception as error:      # the user's code
        raise _Raised(_raised(program, mine, error)) from None
    if got is None:
        raise _Raised(Fault("not-an-array", "it returned None: is the return forgotten?"))
    for n, (old, new) in enumerate(zip(inputs, given, strict=True)):
        if isinstance(old, np.ndarray) and gap({"": old}, {"": new}):
            raise _Raised(Fault(
                "in-place", f"it writes into its input {_names(program)[n]}: work on a copy"))
    try:
        return _point(program, inputs, settings, got)
    except ValueError as error:
        raise _Raised(Fault("not-an-array", f"it cannot be compared: {error}")) from None


def _required(program: Program, mine: Function) -> Settings:
    """The program's defaults for what the function has no default of its own for, such as eps."""
    def defaults(function: Function) -> Settings:
        return {name: p.default for name, p in inspect.signature(function).parameters.items()
                if p.default is not p.empty and name != "wrong"}

    try:
        return {name: value for name, value in defaults(program.function).items()
                if name not in defaults(mine)}
    except (TypeError, ValueError):     # compiled code has no signature
        return {}


def _raised(program: Program, mine: Function, error: Exception) -> Fault:
    file = getattr(getattr(mine, "__code__", None), "co_filename", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    where = f"it is called as {program.name}({', '.join(_names(program))})"
    if frames:
        where = f"line {frames[-1].lineno}: {frames[-1].line}".rstrip(": ")
    return Fault("forward-raises", one_line(f"{type(error).__name__}: {error}", 300), where)


def _names(program: Program) -> list[str]:
    hidden = {"wrong", "kept", "width"}
    return [name for name in inspect.signature(program.function).parameters if name not in hidden]


def _sizes(inputs: Inputs, settings: Settings) -> dict[str, float]:
    """The lengths of the first array's axes and the settings: a factor may be one of them."""
    shape = next((x.shape for x in inputs if isinstance(x, np.ndarray) and x.ndim), ())
    words = {f"the length of axis {n}": float(length) for n, length in enumerate(shape)}
    if len(shape) > 1:
        words["all axes but the last"] = float(np.prod(shape[:-1]))
    return words | ({"all axes": float(np.prod(shape))} if shape else {}) | {
        name: float(x) for name, x in settings.items()
        if isinstance(x, (int, float)) and not isinstance(x, bool) and x > 0}


def diagnose(points: list[Point], program: Program) -> ValueReport:
    """What explains the value at the first point where it is wrong, and agrees with the others."""
    wrong = next((point for point in points if not point.ok), None)
    if wrong is None:
        return ValueReport(program.name)
    difference = first_difference(wrong.right, wrong.got) or ("", "", "")
    faults, others = _choose([wrong, *(p for p in points if p is not wrong)], program)
    if not faults:
        faults = [_unnamed(wrong)]
    return ValueReport(program.name, tuple(faults), tuple(others), *difference)


def _choose(points: list[Point], program: Program) -> tuple[list[Fault], list[Fault]]:
    """The cheapest mistake, or pair, that predicts what was given at every point."""
    point, others = points[0], points[1:]
    nearly: list[Fault] = []
    for guesses in (_single(program, point), _pairs(program, point.settings)):
        found: list[tuple[float, list[Guess]]] = []
        for group in guesses:
            predicted = group[-1].predict(point)
            if predicted is not None and explains(predicted, point.right, point.got):
                fits = sum(_fits(group[-1], other) for other in others)
                if fits == len(others):
                    found.append((gap(predicted, point.got), group))
                elif fits == len(others) - 1 > 1 and not nearly:
                    nearly = [replace(group[-1].fault, evidence=(
                        f"it explains {fits + 1} of the {len(points)} inputs tried"))]
        if found:
            room = 10 * min(off for off, _ in found) + 1e-9 * size(point.got)
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
    if c is not None:
        sentence = factor_word(c, point.sizes)

        def scaled(other: Point) -> Leaves | None:
            # at other sizes the factor has the same name, not the same value
            again = factor(other.right, other.got)
            if again is None or factor_word(again, other.sizes).split(" (")[0] != named:
                return None
            return {key: again * a for key, a in other.right.items()}

        named = sentence.split(" (")[0]
        yield [Guess(Fault("factor", sentence, cost=2), scaled)]


def _pairs(program: Program, settings: Settings) -> Iterator[list[Guess]]:
    own = [variant for variant in program.mistakes() if variant.function is None]
    pairs = [pair for pair in itertools.combinations(own, 2) if pair[0].kind != pair[1].kind]
    for first, second in sorted(pairs, key=lambda p: own.index(p[0]) + own.index(p[1]))[:PAIRS]:
        alone = _named(program, [first], settings)
        yield [alone, _named(program, [first, second], settings)]


def _unnamed(point: Point) -> Fault:
    right, got = point.right, point.got
    for key, a in right.items():
        if key in got and got[key].shape != a.shape:
            same = got[key].size == a.size
            return Fault("wrong-shape", "the numbers are laid out in another shape" if same else
                         f"it has shape {got[key].shape}, expected {a.shape}")
        if key in got and a.dtype.kind == "f" and not np.isfinite(got[key]).all() \
                and np.isfinite(a).all():
            return Fault("not-finite", "NaN or infinity: subtract the row maximum before exp, "
                         "mask with -inf before softmax, and leave every row something to see")
    if right.keys() != got.keys():
        return Fault("wrong-count", f"it gives {len(got)} values, expected {len(right)}")
    wrong, total, where = 0, 0, ""
    for key, a in right.items():
        if a.dtype != object and got[key].dtype != object:
            room = tolerance(got) * size({key: a}) / max(a.size, 1) ** 0.5
            off = ~(np.abs(a - got[key]) <= room)
            wrong += int(off.sum())
            total += a.size
            where = "".join(_part(off, axis) for axis in range(a.ndim)) if len(right) == 1 else ""
    many = f": {wrong} of {total} numbers are wrong{where}" if total > 1 else ""
    return Fault("unexplained", f"no known mistake, nor two of them, gives these values{many}")


def _part(off: Array, axis: int) -> str:
    """Where along an axis the wrong numbers lie, if not everywhere."""
    hit = np.flatnonzero(off.any(tuple(a for a in range(off.ndim) if a != axis)))
    if len(hit) in (0, off.shape[axis]):
        return ""
    if len(hit) > 1 and (np.diff(hit) == 1).all():
        return f"; along axis {axis} only those from {hit[0]} to {hit[-1]}"
    return f"; along axis {axis} only {', '.join(str(n) for n in hit[:6])}"
