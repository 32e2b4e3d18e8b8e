"""Any callable on arrays, or the loss of a whole model, brought under the layer contract."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .check import examine
from .numeric import Array
from .report import Finding, Report
from .subject import ContractError, Subject, describe, to_numpy


def check_function(f: Callable[..., Any], grad: Callable[..., Any], x: Any) -> Report:
    """Examine any callable on arrays through NumPy: hand-written, PyTorch, JAX.

    `f(x)` gives a number and `grad(x)` its gradient; or `f(x)` gives an array and `grad(x, dout)`
    the gradient of sum(dout * f(x)). `x` is an array, or a tuple of arrays for `f(*x)`, and then
    `grad` returns a tuple. f and grad are called with NumPy arrays, mostly of float64.

    >>> check_function(lambda x: np.sum(x**3), lambda x: 3 * x**2, np.array([1.0, 2.0])).ok
    True
    """
    inputs = x if isinstance(x, tuple) else (x,)

    def forward(*arrays: Any) -> tuple[Array, tuple[Any, ...]]:
        return _one_array(f(*arrays)), arrays

    def backward(dout: Array, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
        plain, with_dout = _takes(grad, len(arrays)), _takes(grad, len(arrays) + 1)
        if with_dout and (dout.ndim or not plain):
            return tuple(map(_gradient, _several(grad(*arrays, dout), len(arrays))))
        if dout.size != 1:
            raise ContractError(
                f"f returns an array of shape {dout.shape}, so grad must take a dout of that shape "
                "as well: grad(x, dout) gives the gradient of sum(dout * f(x)). Or let f return a "
                "number."
            )
        result = map(_gradient, _several(grad(*arrays), len(arrays)))
        return tuple(None if g is None else dout.reshape(()) * g for g in result)

    subject = Subject(forward, backward, inputs, {})
    subject.readable, subject.users = False, (f, grad)
    subject.op = getattr(f, "__name__", type(f).__name__)
    subject.names = Subject(f, grad, inputs, {}).names
    return examine(subject)


def check_scalar(
    f: Callable[[dict[str, Array]], Any],
    params: Mapping[str, Any],
    grads: Mapping[str, Any],
    op: str = "model",
    seed: int = 0,
) -> Report:
    """Examine the gradients of a loss `f(params) -> number` over a dict of tensors, one row for
    each.

    `grads` has params' names. Tensors of up to 512 elements are moved element by element, larger
    ones along signed random directions with bisection to a wrong element. For a complex step f must
    return the complex loss it is given (no `float`); else Richardson is used.

    >>> p = {"w": np.array([1.0, 2.0])}
    >>> check_scalar(lambda p: (p["w"] ** 2).sum(), p, {"w": 2 * p["w"]}).ok
    True
    """
    names = list(params)
    given = tuple(None if grads.get(n) is None else np.asarray(grads[n], np.float64) for n in names)

    def forward(*arrays: Any) -> tuple[Any, None]:
        return f(dict(zip(names, arrays, strict=True))), None

    def backward(dout: Array, cache: None) -> tuple[Any, ...]:
        return tuple(None if g is None else dout * g for g in given)

    arrays = tuple(np.asarray(params[n], np.float64) for n in names)
    subject = Subject(forward, backward, arrays, {})
    subject.op, subject.names, subject.readable = op, names, False
    report = examine(subject, seed, thorough=False)
    report.findings += [
        Finding("unexpected-gradient", name, "There is a gradient but no parameter of this name.")
        for name in grads if name not in params
    ]
    return report


def _one_array(out: Any) -> Array:
    if isinstance(out, (tuple, list, dict)) or out is None:
        raise ContractError(
            f"f returned {describe(out)}; it must return one number or one array (np.concatenate "
            "joins several)"
        )
    array = to_numpy(out)
    if array.dtype.kind not in "fciub":
        raise ContractError(f"f returned {describe(out)}; it must return a number or an array")
    return array


def _takes(grad: Callable[..., Any], count: int) -> bool:
    """Can grad be called with so many arrays? Yes where Python does not know."""
    try:
        inspect.signature(grad).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        pass
    return True


def _several(result: Any, count: int) -> tuple[Any, ...]:
    """What grad returned as one gradient for each input."""
    if isinstance(result, dict):
        raise ContractError(
            f"grad returned {describe(result)}; it must return an array, or a tuple with one for "
            "each input"
        )
    if isinstance(result, (tuple, list)) and (count > 1 or len(result) == 1):
        return tuple(result)
    return (np.asarray(result),) if isinstance(result, (tuple, list)) else (result,)


def _gradient(value: Any) -> Any:
    """A gradient as an array; None stays, and what is not an array is reported later."""
    if value is None or isinstance(value, (str, dict, tuple, list)):
        return value
    return to_numpy(value)
