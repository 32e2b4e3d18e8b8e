"""The check of proof.py, input by input, also at a kink (either slope counts), where the gradient
is zero (up to rounding), where an input is masked with minus infinity (that element does not move),
and in a tensor of millions (random signed directions are moved, and one wrong element shows).
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array
from .compare import agree
from .numeric import EPSILON, derivative, norm, signs
from .pair import ContractError, as_array, constant, describe, names_of, to_numpy

DOUTS = 2           # the second sees a backward that is not linear in dout
ONE_BY_ONE = 512    # elements of a tensor that are moved one by one
DIRECTIONS = 8      # in which a larger one is moved


@dataclass(frozen=True)
class Row:
    """One input: the error ||given - numeric|| / ||numeric|| of its gradient, what is allowed, how
    the derivative was taken and why so, or what is wrong; "right", "wrong" or "undecided".
    """

    argument: str
    shape: tuple[int, ...]
    error: float
    tolerance: float
    method: str
    why: str
    verdict: str


@dataclass(frozen=True, repr=False)
class Report:
    """A row for each input that has a gradient; print it to read it, `assert report.ok, report`."""

    op: str
    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        """Whether every gradient is proven right; false where there was nothing to check."""
        return bool(self.rows) and all(row.verdict == "right" for row in self.rows)

    def __repr__(self) -> str:
        verdicts = [row.verdict for row in self.rows] or ["nothing to check"]
        worst = next(v for v in ("wrong", "undecided", *verdicts) if v in verdicts)
        return "\n".join([f"{self.op}: {worst}", *(
            f"  {row.argument} {row.shape}: {row.verdict}, error {row.error:.1e}, allowed "
            f"{row.tolerance:.1e}\n    {row.method}{': ' * bool(row.method)}{row.why}"
            for row in self.rows)])


def check(
    forward: Callable[..., object], backward: Callable[..., object], *inputs: object,
    **settings: object,
) -> Report:
    """Check the gradients of a pair against numeric derivatives, for random `dout`.

    forward(*inputs, **settings) -> (out, cache)
    backward(dout, cache) -> a gradient for each input

    Integers, booleans, None and `constant(x)` have no gradient. A wrong gradient raises nothing:
    read `report.ok`, or print the report. Raises ContractError, a ValueError, for inputs or outputs
    that are not real numbers, and what the pair itself raises.

    >>> def square_forward(x): return x * x, x
    >>> def square_backward(dout, x): return (2 * dout * x,)
    >>> check(square_forward, square_backward, np.array([1.0, -2.0])).ok
    True
    """
    def run(*arrays: object) -> tuple[object, object]:
        # a copy of a random generator draws the same numbers each time
        result = forward(*arrays, **copy.deepcopy(settings))
        if not isinstance(result, tuple) or len(result) != 2:
            raise ContractError(f"forward returned {describe(result)}; expected (out, cache)")
        return result

    def gradients(dout: Array, *arrays: object) -> tuple[object, ...]:
        given = backward(dout, run(*arrays)[1])
        kinds = (tuple, list) if len(arrays) > 1 else tuple
        return tuple(given) if isinstance(given, kinds) else (given,)

    return _checked(forward, names_of(forward, len(inputs)), inputs,
                    lambda *arrays: run(*arrays)[0], gradients)


def check_function(f: Callable[..., object], grad: Callable[..., Any], *x: object) -> Report:
    """Check any function of arrays: hand-written, PyTorch's or JAX's, through NumPy.

    `f(*x)` gives a number and `grad(*x)` its gradients; or `f(*x)` gives an array and
    `grad(*x, dout)` the gradients of sum(dout * f(*x)). A tuple as the only x is spread. Raises as
    `check`.

    >>> check_function(lambda x: np.sum(x**3), lambda x: 3 * x**2, np.array([1.0, 2.0])).ok
    True
    """
    inputs = x[0] if len(x) == 1 and isinstance(x[0], tuple) else x

    def gradients(dout: Array, *arrays: object) -> tuple[object, ...]:
        given = grad(*arrays, dout) if dout.ndim else grad(*arrays)
        several = isinstance(given, (tuple, list)) and (len(arrays) > 1 or len(given) == 1)
        return tuple(g if g is None else to_numpy(g) * (1.0 if dout.ndim else dout)
                     for g in (given if several else [given]))

    return _checked(f, names_of(f, len(inputs)), inputs, f, gradients)


def check_scalar(f: Callable[[object], object], params: Mapping[str, object], grads: Any) -> Report:
    """Check the gradients of a loss `f(params)`, a number, by the names in the dict; nested too.

    `grads` is a dict of the same names, or a function of params that gives one. Raises as `check`.
    """
    leaves = dict(_flat(params))
    given = dict(_flat(grads(params) if callable(grads) else grads))

    def gradients(dout: Array, *arrays: object) -> tuple[object, ...]:
        if dout.ndim:
            raise ContractError(f"f returned an array of shape {dout.shape}; expected a number")
        return tuple(None if given.get(n) is None else to_numpy(given[n]) * dout for n in leaves)

    return _checked(f, list(leaves), list(leaves.values()),
                    lambda *arrays: f(_nested(params, iter(arrays))), gradients)


def _flat(tree: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    """(dotted name, array) of every leaf."""
    if not isinstance(tree, Mapping):
        raise ContractError(f"expected a dict of arrays by name, got {describe(tree)}")
    for name, value in tree.items():
        yield from _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else [
            (above + name, value)]


def _nested(tree: Mapping[str, object], leaves: Iterator[object]) -> dict[str, object]:
    return {name: _nested(value, leaves) if isinstance(value, Mapping) else next(leaves)
            for name, value in tree.items()}


def _checked(
    user: Callable[..., object], names: Sequence[str], inputs: Sequence[object],
    f: Callable[..., object], gradients: Callable[..., tuple[object, ...]],
) -> Report:
    """Check f(*inputs) -> out and gradients(dout, *inputs), made of the user's own function."""
    arrays = [as_array(v.value if isinstance(v, constant) else v, n) for v, n in zip(inputs, names)]

    def out_of(i: int, x: Array) -> Array:
        # the other floats follow the dtype of x, so that a complex number can pass through all of f
        moved = [a if a is None else a.astype(x.dtype if a.dtype.kind == "f" else a.dtype)
                 for a in arrays]
        return to_numpy(f(*moved[:i], x.copy(), *moved[i + 1:]))

    rng, out = np.random.default_rng(0), to_numpy(f(*map(copy.copy, arrays)))
    if out.dtype.kind not in "fiub":
        raise ContractError(f"out is {describe(out)}; expected real numbers")
    # where out is infinite, such as the logarithm of a masked probability, no gradient is asked for
    douts = [signs(out.shape, rng) * np.isfinite(out) for _ in range(DOUTS)]
    if out.ndim == 0:
        douts[0] = np.ones(())      # the user's own numbers
    returned = [gradients(dout.copy(), *map(copy.copy, arrays)) for dout in douts]
    rows = []
    for i, (name, x) in enumerate(zip(names, arrays)):
        if x is None or x.dtype.kind != "f" or not x.size or isinstance(inputs[i], constant):
            continue
        given = [g[i] if len(g) == len(inputs) else g for g in returned]
        problem = next(filter(None, (_problem(g, name, x, out) for g in given)), "")
        rows.append(Row(name, x.shape, np.inf, 0.0, "", problem, "wrong") if problem else _row(
            name, x, functools.partial(out_of, i), out, douts, given, rng))
    op = getattr(user, "__name__", type(user).__name__)
    return Report(op.removesuffix("_forward"), tuple(rows))


def _problem(given: object, name: str, x: Array, out: Array) -> str:
    """What is wrong, before any number is compared, with what backward gave for one input."""
    if isinstance(given, tuple):
        return f"the count of gradients is {len(given)}; expected one for each input, or None"
    if given is None:
        return f"backward gave None; if {name} has no gradient, pass constant({name})"
    array = to_numpy(given)
    if array.shape != x.shape or array.dtype.kind not in "fiu":
        return f"backward gave {describe(array)}; expected shape {x.shape}"
    if np.isfinite(out).all() and np.isnan(array).any():
        return f"backward gave NaN at {np.argwhere(np.isnan(array))[0].tolist()}"
    return ""


def _row(
    name: str, x: Array, f: Callable[[Array], Array], out: Array, douts: list[Array],
    given: list[Any], rng: np.random.Generator,
) -> Row:
    """The numeric gradient of one input, and whether the given ones, one for each dout, agree."""
    # infinite elements, such as masks, stay where they are
    free, many, known = np.isfinite(x), x.size > ONE_BY_ONE, np.isfinite(out).reshape(-1)
    if not free.any():
        return Row(name, x.shape, 0.0, 0.0, "", "no element of it is finite", "undecided")
    moves = ([signs(x.shape, rng) * free for _ in range(DIRECTIONS)] if many else
             [v.reshape(x.shape) for v in np.eye(x.size)[free.reshape(-1)]])
    epsilon = float(np.finfo(out.dtype).eps) if out.dtype.kind == "f" else EPSILON
    method, why, slope = derivative(f, x, rng, epsilon)
    # the Jacobian along the moves, its error bars and its spreads: (N, M) for M elements of out
    value, error, spread = (np.where(known, np.reshape(part, (len(moves), -1)), 0.0)
                            for part in zip(*map(slope, moves)))
    flat = np.array(douts).reshape(len(douts), -1)
    along = np.array([[np.sum(np.where(v == 0, 0.0, g) * v) for v in moves] for g in given])
    size = np.abs(flat)
    scale = (norm(flat) * norm(out.reshape(-1)[known].astype(np.float64))
             / max(norm(x[free]), 1e-3 * x.size ** 0.5))
    found = agree(along, flat @ value.T, size @ error.T, size @ np.abs(value).T, scale, epsilon,
                  size @ spread.T)
    why += f"; along {len(moves)} random directions" * many
    return Row(name, x.shape, found.error, found.tolerance, method, why, found.verdict)
