"""Arrays that write down what is done to them, as the steps of a program on a tape."""

from __future__ import annotations

import ast
import copy
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..evidence.subject import CallError

MOST = 400  # steps of one call; what has more is no layer
OPERATORS: dict[object, type[ast.operator]] = {
    np.add: ast.Add, np.subtract: ast.Sub, np.multiply: ast.Mult, np.true_divide: ast.Div,
    np.matmul: ast.MatMult, np.power: ast.Pow, np.floor_divide: ast.FloorDiv, np.mod: ast.Mod,
}
COMPARISONS: dict[object, type[ast.cmpop]] = {
    np.equal: ast.Eq, np.not_equal: ast.NotEq, np.less: ast.Lt, np.less_equal: ast.LtE,
    np.greater: ast.Gt, np.greater_equal: ast.GtE,
}
METHODS = (
    "sum", "mean", "max", "min", "prod", "var", "std", "cumsum", "swapaxes", "transpose", "reshape",
    "ravel", "flatten", "astype", "copy", "squeeze", "repeat", "take", "clip", "dot", "conj",
    "argmax", "argmin", "argsort", "diagonal",
)
_OWN = (__file__, str(np.__path__[0]))
_DOCTOR = str(Path(__file__).parents[1])    # what stands between the user's code and a pair
MAKERS = ("zeros", "ones", "empty", "full", "eye", "arange")


@dataclass(eq=False)
class Step:
    """One value: how it was computed, its line (0: not the user's), its name in the function.

    `statement` is what changed an array in place, and gives no value; `key` is that of a part.
    """

    node: ast.expr | None
    line: int = 1
    name: str = ""
    statement: ast.stmt | None = None
    key: object = None
    leaf: bool = False
    hint: str = ""


@dataclass
class Tape:
    """The steps of one call in order, and the constants in them."""

    steps: list[Step] = field(default_factory=list)
    constants: dict[str, object] = field(default_factory=dict)

    def write(self, value: object, node: ast.expr, key: object = None) -> object:
        """A value with its step; a tuple of values part by part."""
        if not isinstance(value, (np.ndarray, np.generic, tuple, list)):
            return value
        step = self._add(Step(node, key=key))
        if isinstance(value, (tuple, list)):
            index = (ast.Subscript(Ref(step), ast.Constant(k), ast.Load())
                     for k in range(len(value)))
            return type(value)(self.write(part, at) for part, at in zip(value, index))
        return self.traced(value, step)

    def traced(self, value: object, step: Step) -> Traced:
        """A value as an array that writes down what is done to it."""
        result = np.asarray(value).view(Traced)
        result.tape, result.step = self, step
        return result

    def change(self, statement: ast.stmt) -> None:
        """A step that changes an array in place."""
        self._add(Step(None, statement=statement))

    def _add(self, step: Step) -> Step:
        if len(self.steps) >= MOST:
            raise CallError(RuntimeError("too many steps"))
        self.steps.append(step)
        frame: types.FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code.co_filename.startswith(_OWN):
            frame = frame.f_back
        if frame is not None and frame.f_code.co_filename.startswith(_DOCTOR):
            step.line = 0
        elif frame is not None:
            step.line = frame.f_lineno
            for name, value in frame.f_locals.items():
                if isinstance(value, Traced) and value.step and not value.step.name:
                    value.step.name = name
        return step

    def node(self, value: Any) -> ast.expr:
        """A value as an expression of the steps."""
        if isinstance(value, Traced) and value.step is not None and value.tape is self:
            return Ref(value.step)
        if isinstance(value, (tuple, list)):
            kind = ast.Tuple if isinstance(value, tuple) else ast.List
            return kind([self.node(part) for part in value], ast.Load())
        if isinstance(value, slice):
            return ast.Slice(*(None if part is None else self.node(part)
                               for part in (value.start, value.stop, value.step)))
        if value is None or value is Ellipsis or type(value) in (bool, int, float, str):
            if type(value) in (int, float) and value < 0:
                return ast.UnaryOp(ast.USub(), ast.Constant(-value))
            return ast.Constant(value)
        if isinstance(value, (np.floating, np.integer)):
            return self.node(value.item())
        if isinstance(value, dict):
            return ast.Dict(list(map(self.node, value)), list(map(self.node, value.values())))
        name = f"constant{len(self.constants)}"
        self.constants[name] = copy.copy(np.asarray(value)) if isinstance(value, np.ndarray) \
            else value
        return ast.Name(name, ast.Load())


class Ref(ast.expr):
    """A step, until it is known whether it has a name or stands where it is used."""

    _fields = ()

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step


def _plain(value: object) -> Any:
    """A value without its tape."""
    if isinstance(value, Traced):
        return value.view(np.ndarray)
    if isinstance(value, (tuple, list)):
        return type(value)(map(_plain, value))
    return value


class Traced(np.ndarray[Any, Any]):
    """An array that writes down on its tape what is done to it."""

    tape: Tape | None
    step: Step | None

    def __array_finalize__(self, obj: object) -> None:
        self.tape, self.step = None, None

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: object, out: Any = None, **words: object
    ) -> object:
        tape = _tape_of((*inputs, out))
        given = [] if out is None else [part for part in out if part is not None]
        plain = {name: _plain(word) for name, word in words.items()}
        if given:
            plain["out"] = tuple(map(_plain, given))
        value = getattr(ufunc, method)(*map(_plain, inputs), **plain)
        if tape is None:
            return value
        args = [tape.node(part) for part in inputs]
        if method == "__call__" and not words and not given:
            if ufunc in OPERATORS:
                return tape.write(value, ast.BinOp(args[0], OPERATORS[ufunc](), args[1]))
            if ufunc in COMPARISONS:
                return tape.write(value, ast.Compare(args[0], [COMPARISONS[ufunc]()], args[1:]))
            if ufunc is np.negative:
                return tape.write(value, ast.UnaryOp(ast.USub(), args[0]))
        if method == "__call__" and given and ufunc in OPERATORS and given[0] is inputs[0]:
            target: Any = args[0]
            tape.change(ast.AugAssign(target, OPERATORS[ufunc](), args[1]))
            return given[0]
        func: ast.expr = ast.Attribute(ast.Name("np", ast.Load()), ufunc.__name__, ast.Load())
        if method != "__call__":
            func = ast.Attribute(func, method, ast.Load())
        words = {**words, **({"out": given[0]} if given else {})}
        call = ast.Call(func, args, _keywords(tape, words))
        if given or method == "at":
            tape.change(ast.Expr(call))
            return given[0] if given else None
        return tape.write(value, call)

    def __array_function__(
        self, func: Callable[..., object], kinds: object, args: Iterable[object],
        words: Mapping[str, object],
    ) -> object:
        tape = _tape_of((args, tuple(words.values())))
        value = func(*map(_plain, args), **{name: _plain(word) for name, word in words.items()})
        if tape is None:
            return value
        path = ["np", *(func.__module__ or "").split(".")[1:], func.__name__]
        node: ast.expr = ast.Name("np", ast.Load())
        for part in path[1:]:
            node = ast.Attribute(node, part, ast.Load())
        call = ast.Call(node, [tape.node(arg) for arg in args], _keywords(tape, words))
        if value is None:
            tape.change(ast.Expr(call))
            return None
        return tape.write(value, call)

    def __getitem__(self, key: object) -> Any:
        value = _plain(self)[_plain(key)]
        tape = _tape_of((self, key))
        return value if tape is None else tape.write(
            value, ast.Subscript(tape.node(self), tape.node(key), ast.Load()), key)

    def __setitem__(self, key: object, value: object) -> None:
        _plain(self)[_plain(key)] = _plain(value)
        tape = _tape_of((self, key, value))
        if tape is None:
            return
        place = ast.Subscript(tape.node(self), tape.node(key), ast.Store())
        last = tape.steps[-1].statement
        # a[k] += v takes a part, adds to it, and puts it back
        if isinstance(value, Traced) and value.step and value.step.key is key and isinstance(
                last, ast.AugAssign) and getattr(last.target, "step", None) is value.step:
            tape.steps.pop()
            tape.change(ast.AugAssign(place, last.op, last.value))
        else:
            tape.change(ast.Assign([place], tape.node(value)))

    def _attribute(self, name: str) -> object:
        value, tape = getattr(_plain(self), name), self.tape
        return value if tape is None else tape.write(
            value, ast.Attribute(tape.node(self), name, ast.Load()))

    T = property(lambda self: self._attribute("T"))
    real = property(lambda self: self._attribute("real"))
    imag = property(lambda self: self._attribute("imag"))


def _method(name: str) -> Callable[..., object]:
    def method(self: Traced, *args: object, **words: object) -> object:
        value = getattr(_plain(self), name)(
            *map(_plain, args), **{word: _plain(part) for word, part in words.items()})
        tape = self.tape
        if tape is None:
            return value
        func = ast.Attribute(tape.node(self), name, ast.Load())
        return tape.write(
            value, ast.Call(func, [tape.node(arg) for arg in args], _keywords(tape, words)))

    return method


for _name in METHODS:
    setattr(Traced, _name, _method(_name))


def _keywords(tape: Tape, words: Mapping[str, object]) -> list[ast.keyword]:
    return [ast.keyword(name, tape.node(word)) for name, word in words.items()]


def _tape_of(values: object) -> Tape | None:
    if isinstance(values, Traced):
        return values.tape
    if isinstance(values, (tuple, list)):
        return next((tape for value in values if (tape := _tape_of(value))), None)
    return None


class TracedNumpy(types.ModuleType):
    """numpy, whose new arrays write down what is done to them."""

    def __init__(self, tape: Tape) -> None:
        super().__init__("numpy")
        self._tape = tape

    def __getattr__(self, name: str) -> object:
        value = getattr(np, name)
        if name not in MAKERS:
            return value

        def make(*args: object, **words: object) -> object:
            tape = self._tape
            func = ast.Attribute(ast.Name("np", ast.Load()), name, ast.Load())
            call = ast.Call(func, [tape.node(arg) for arg in args], _keywords(tape, words))
            return tape.write(value(*map(_plain, args), **words), call)

        return make
