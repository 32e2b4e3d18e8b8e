"""The check: what backward gives against numeric derivatives, input by input.

For one array the whole idea is in proof.py. Here a gradient may also be right at a kink (either
slope counts), where it is zero (up to rounding), where an input is masked with minus infinity (that
element does not move), and in a tensor of millions (random signed directions are moved instead of
elements; a single wrong element shows along each).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..arrays import Array
from .compare import Gradient, judged
from .numeric import signs, unit_directions, ways
from .pair import ContractError, Pair, argument_names, describe, to_numpy
from .report import Report, Row

DOUTS = 2           # the second sees a backward that is not linear in dout
ONE_BY_ONE = 512    # elements of a tensor that are moved one by one
DIRECTIONS = 8      # in which a larger one is moved


def check(
    forward: Callable[..., Any], backward: Callable[..., Any], *inputs: Any, **settings: Any
) -> Report:
    """Check the gradients of a pair against numeric derivatives, for random `dout`.

    forward(*inputs, **settings) -> (out, cache)
    backward(dout, cache) -> a gradient for each input

    Integers, booleans, None and `constant(x)` have no gradient. A wrong gradient raises nothing:
    read `report.ok`, print the report, or call `report.raise_if_wrong()`. Raises ContractError, a
    ValueError, for inputs or outputs that are not real numbers, and what the pair itself raises.

    >>> def square_forward(x): return x * x, x
    >>> def square_backward(dout, x): return (2 * dout * x,)
    >>> check(square_forward, square_backward, np.array([1.0, -2.0])).ok
    True
    """
    return _checked(Pair(forward, backward, inputs, settings), forward)


def check_function(f: Callable[..., Any], grad: Callable[..., Any], *x: Any) -> Report:
    """Check any function of arrays: hand-written, PyTorch's or JAX's, through NumPy.

    `f(*x)` gives a number and `grad(*x)` its gradients; or `f(*x)` gives an array and
    `grad(*x, dout)` the gradients of sum(dout * f(*x)). A tuple as the only x is spread. Raises as
    `check`.

    >>> check_function(lambda x: np.sum(x**3), lambda x: 3 * x**2, np.array([1.0, 2.0])).ok
    True
    """
    inputs = x[0] if len(x) == 1 and isinstance(x[0], tuple) else x

    def backward(dout: Array, arrays: tuple[Array, ...]) -> tuple[Any, ...]:
        takes_dout = bool(dout.ndim) or not _takes(grad, len(arrays))
        if takes_dout and not _takes(grad, len(arrays) + 1):
            raise ContractError(f"f returns shape {dout.shape}, so grad must take a dout of that "
                                "shape too: grad(x, dout)")
        given = grad(*arrays, dout) if takes_dout else grad(*arrays)
        several = isinstance(given, (tuple, list)) and (len(arrays) > 1 or len(given) == 1)
        values = [v if v is None else to_numpy(v) for v in (given if several else (given,))]
        return tuple(v if v is None or takes_dout else dout * v for v in values)

    pair = Pair(lambda *arrays: (f(*arrays), arrays), backward, inputs, {})
    pair.names = argument_names(f, len(inputs))
    return _checked(pair, f)


def check_scalar(f: Callable[[Any], Any], params: Mapping[str, Any], grads: Any) -> Report:
    """Check the gradients of a loss `f(params)`, a number, by the names in the dict; nested too.

    `grads` is a dict of the same names, or a function of params that gives one. Raises as `check`.
    """
    names, arrays = zip(*_flat(params))
    given = dict(_flat(grads(params) if callable(grads) else grads))

    def forward(*moved: Array) -> tuple[Any, None]:
        return f(_nested(params, iter(moved))), None

    if np.ndim(to_numpy(f(params))):
        raise ContractError(f"f returned {describe(f(params))}; expected a number")

    def backward(dout: Array, cache: None) -> tuple[Any, ...]:
        return tuple(None if given.get(name) is None else dout * to_numpy(given[name])
                     for name in names)

    pair = Pair(forward, backward, arrays, {})
    pair.names = list(names)
    return _checked(pair, f)


def _checked(pair: Pair, function: Callable[..., Any]) -> Report:
    """A row for every input of the pair that has a gradient; `function` is what the user wrote."""
    rng, out = np.random.default_rng(0), pair.run()[0]
    if out.dtype.kind not in "fiub":
        raise ContractError(f"forward's out is {describe(out)}; expected real numbers")
    out = out.astype(np.float64)
    # where out is infinite, such as the logarithm of a masked probability, no gradient is asked for
    douts = np.array([signs(out.shape, rng) * np.isfinite(out) for _ in range(DOUTS)])
    if out.ndim == 0:
        douts[0] = 1.0      # the user's own numbers
    returned = [pair.gradients(dout) for dout in douts]
    rows = [_row(pair, i, out, douts, returned, rng) for i in pair.floats if pair.array(i).size]
    name = getattr(function, "__name__", type(function).__name__)
    return Report(name.removesuffix("_forward"), tuple(rows))


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arrays; yes where Python does not know."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        pass
    return True


def _flat(tree: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """(dotted name, array) of every leaf."""
    if not isinstance(tree, Mapping):
        raise ContractError(f"expected a dict of arrays by name, got {describe(tree)}")
    return [leaf for name, value in tree.items() for leaf in (
        _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else [(above + name, value)])]


def _nested(tree: Mapping[str, Any], leaves: Any) -> dict[str, Any]:
    return {name: _nested(value, leaves) if isinstance(value, Mapping) else next(leaves)
            for name, value in tree.items()}


def _row(
    pair: Pair, i: int, out: Array, douts: Array, returned: list[tuple[Any, ...]],
    rng: np.random.Generator,
) -> Row:
    x, name = pair.array(i), pair.names[i]
    given, problem = _given(returned, i, pair, bool(np.isfinite(out).all()))
    if problem:
        return Row(name, x.shape, np.inf, 0.0, "", problem, "wrong")
    moves = _moves(x, rng)
    if not moves:
        return Row(name, x.shape, 0.0, 0.0, "", "no element of it is finite", "undecided")
    verdict, gradient = judged(
        [Gradient(pair, i, out, douts, moves, way)
         for way in ways(pair.out_as_function_of(i), x, rng)], given)
    way = gradient.way
    why = way.why + f"; along {len(moves)} random directions" * (x.size > ONE_BY_ONE)
    return Row(name, x.shape, verdict.error, verdict.tolerance, way.name, why, verdict.verdict)


def _given(
    returned: list[tuple[Any, ...]], i: int, pair: Pair, finite: bool
) -> tuple[Array, str]:
    """What backward gave for one input, for each dout: (K, *x.shape); or what is wrong with it."""
    x, name, arrays = pair.array(i), pair.names[i], []
    for gradients in returned:
        if len(gradients) != len(pair.inputs):
            return x, (f"backward returned {len(gradients)} gradients for {len(pair.inputs)} "
                       "inputs; expected one each, None for what has none")
        value = gradients[i]
        if value is None:
            return x, f"backward gave None; if {name} has no gradient, pass constant({name})"
        array = to_numpy(value)
        if array.shape != x.shape or array.dtype.kind not in "fiu":
            return x, f"backward gave {describe(array)}; expected shape {x.shape}"
        if finite and np.isnan(array).any():
            place = [int(n) for n in np.argwhere(np.isnan(array))[0]]
            return x, f"backward gave NaN at {place}"
        arrays.append(array.astype(np.float64))
    return np.array(arrays), ""


def _moves(x: Array, rng: np.random.Generator) -> list[Array]:
    """The directions that x is moved in; infinite elements, such as masks, stay where they are."""
    free = np.isfinite(x)
    if x.size > ONE_BY_ONE:
        return [signs(x.shape, rng) * free for _ in range(DIRECTIONS * bool(free.any()))]
    return [v for v, moves in zip(unit_directions(x.shape), free.reshape(-1)) if moves]
