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
import traceback
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ...arrays import Array
from ...suggest import one_line, unknown
from ..evidence.fault import Fault
from .catalogue import PROGRAMS
from .choose import ValueReport, diagnose
from .compare import Leaves, gap, leaves, size
from .guesses import Point
from .program import Function, Inputs, Program, Settings, Value, accepted, as_given

AS_FLOAT32 = 3e-7   # of its size, what a step in float32 leaves
DRAWS = 6   # inputs that a function is tried on besides those given


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
                             f"{', '.join(program.arguments)}")
    if mine is None:
        if not inputs:
            raise ValueError(f"a value of {program.name} needs its inputs: "
                             f"{', '.join(program.arguments)}")
        points = [_point(program, inputs, settings, given)]
        return _noted(diagnose(points, program), points)
    points = []
    calls = [(inputs, settings)] if inputs or settings and not program.draw else []
    for call in itertools.chain(calls, _drawn(program, settings)):
        try:
            point = _called(program, mine, *call)
        except _Raised as raised:
            if not all(point.ok for point in points):
                break       # it is wrong without that already
            if not (calls and points):
                return ValueReport(program.name, (raised.fault,))
            # right at the caller's own inputs: that it takes no others is no mistake
            return ValueReport(program.name, elsewhere=(
                f"right at your inputs; at others, {_called_with(call[0])}, it raised "
                f"{raised.fault.sentence}"))
        points.append(point)
    if not points:
        raise ValueError(f"{program.name} draws no inputs: give those of the call")
    report = _noted(diagnose(points, program), points)
    if report.ok or not calls or not points[0].ok:
        return report
    wrong = next(point for point in points if not point.ok)
    return replace(report, elsewhere=(
        f"right at your inputs; wrong at others, {_called_with(wrong.inputs)}"))


def _noted(report: ValueReport, points: list[Point]) -> ValueReport:
    """Right, with a note, where nothing but a rounding like that of float32 is off."""
    off = max(gap(p.right, p.got) / (size(p.right) or 1.0) for p in points)
    if report.kinds != ["float32"] or off > AS_FLOAT32:
        return report
    return ValueReport(report.name, elsewhere=report.findings[0].sentence)


def _called_with(inputs: Inputs) -> str:
    shapes = [str(x.shape) for x in inputs if isinstance(x, np.ndarray)]
    return f"of shape {', '.join(shapes)}" if shapes else "drawn by the check"


def _program(what: str | Program | Function) -> Program:
    if isinstance(what, Program):
        return what
    if callable(what):
        return Program(getattr(what, "__name__", "the function"), what)
    if not isinstance(what, str) or what not in PROGRAMS:
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
                         f"{', '.join(program.arguments)}") from None


def _point(program: Program, inputs: Inputs, settings: Settings, got: Value) -> Point:
    if inspect.isgenerator(got):
        got = [*got]
    inputs, got = program.observe(inputs, settings, got)
    right = _right(program, inputs, settings)
    if isinstance(got, tuple) and right.keys() == {""} and len(got) > 1 and (
            right[""].dtype != object and _shape(got[0]) == right[""].shape):
        got = got[0]    # (out, cache), (out, mean, rstd), (loss, gradients)
    values = _as_right(leaves(got), right)
    if any(a.dtype == np.float32 for x in inputs for a in _arrays(x)) or _of_float32(values):
        # a float64 made from them, such as by a count of integers, is no more exact than they are
        values = {key: a.astype(np.float32) if a.dtype == np.float64 else a
                  for key, a in values.items()}
    point = Point(inputs, settings, right, values, _sizes(inputs, settings))
    for variant in program.conventions:
        other = replace(point, right=leaves(program.value(inputs, settings, [variant])))
        if other.ok:
            return other
    return point


def _as_right(got: Leaves, right: Leaves) -> Leaves:
    """One number for an array of one, and an array for a list of its rows, where that is right."""
    if right.keys() != {""}:
        return got
    parts = [*got.values()]
    if len(parts) > 1 and len(parts) == len(right[""]) and all(
            a.dtype != object and a.shape == right[""].shape[1:] for a in parts):
        return {"": np.stack(parts)}
    if got.keys() == {""} and right[""].ndim == 0 and got[""].size == 1:
        return {"": got[""].reshape(())}
    return got


def _of_float32(values: Leaves) -> bool:
    """Whether every float is one that float32 can hold too, and no integer."""
    floats = np.concatenate([np.zeros(0), *(
        a.ravel() for a in values.values() if a.dtype == np.float64)])
    with np.errstate(all="ignore"):
        return bool(len(floats) and (floats == floats.astype(np.float32)).all()
                    and (floats != np.round(floats)).any())


def _shape(value: Value) -> tuple[int, ...] | None:
    try:
        return np.shape(value)
    except ValueError:      # rows of different lengths
        return None


def _arrays(value: Value) -> list[Array]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value] if isinstance(value, np.ndarray) else [
        a for part in parts for a in _arrays(part)]


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
        raise _Raised(_raised(program, mine, inputs, error)) from None
    if got is None:
        raise _Raised(Fault("not-an-array", "it returned None: is the return forgotten?"))
    for n, (old, new) in enumerate(zip(inputs, given, strict=True)):
        if isinstance(old, np.ndarray) and gap({"": old}, {"": new}):
            raise _Raised(Fault(
                "in-place", f"it writes into its input {program.arguments[n]}: work on a copy"))
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


def _raised(program: Program, mine: Function, inputs: Inputs, error: Exception) -> Fault:
    # of what a wrapper wraps: the line shown is the user's own
    file = getattr(getattr(inspect.unwrap(mine), "__code__", None), "co_filename", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    where = f"it is called as {program.name}({', '.join(program.arguments)}), with arrays " \
        f"{_called_with(inputs)}"
    if frames:
        where = f"line {frames[-1].lineno}: {frames[-1].line}; {where}"
    return Fault("forward-raises", one_line(f"{type(error).__name__}: {error}", 300), where)


def _sizes(inputs: Inputs, settings: Settings) -> dict[str, float]:
    """The lengths of the first array's axes and the settings: a factor may be one of them."""
    shape = next((x.shape for x in inputs if isinstance(x, np.ndarray) and x.ndim), ())
    words = {f"the length of axis {n}": float(length) for n, length in enumerate(shape)}
    if len(shape) > 1:
        words["all axes but the last"] = float(np.prod(shape[:-1]))
    return words | ({"all axes": float(np.prod(shape))} if shape else {}) | {
        name: float(x) for name, x in settings.items()
        if isinstance(x, (int, float)) and not isinstance(x, bool) and x > 0}
