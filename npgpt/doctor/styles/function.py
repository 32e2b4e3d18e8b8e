"""Functions and their gradients, without any contract: `f(x)` with `grad(x)`, and a loss of a dict.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...arrays import Array
from ...gradcheck.pair import ContractError, describe, to_numpy
from ..evidence.report import Finding, Report
from ..evidence.subject import Function, Program, Subject, check_mapping, checked_output
from ..evidence.tree import gradients_of, is_tree, leaves, spellings
from ..examine import examine
from .arguments import Arguments


def check_function(f: Callable[..., object], grad: Callable[..., object], *x: object) -> Report:
    """Examine any function of arrays through NumPy: hand-written, PyTorch's, JAX's.

    `f(*x)` gives a number and `grad(*x)` its gradient, or a tuple with one for each x; or `f(*x)`
    gives an array, or a tuple or dict of them, and `grad(*x, dout)` the gradients of
    sum(dout * f(*x)). A tuple as the only x is spread. `constant(x)` has no gradient. f and grad
    are called with NumPy arrays, floats as float64. Raises as `check`.

    >>> check_function(lambda x: np.sum(x**3), lambda x: 3 * x**2, np.array([1.0, 2.0])).ok
    True
    """
    if not callable(f) or not callable(grad):
        raise ContractError("expected two functions, f and grad, and then the inputs; got "
                            f"{describe(f)} and {describe(grad)}")
    given = x[0] if len(x) == 1 and isinstance(x[0], tuple) else x
    arguments = Arguments(f, given, every=True)
    arguments.require()

    def pair(functions: Mapping[str, Function]) -> tuple[Function, Function]:
        f, grad = functions["f"], functions["grad"]

        def forward(*arrays: object) -> tuple[object, object]:
            return f(*arguments.filled(arrays)), arrays

        def backward(dout: Any, arrays: tuple[object, ...]) -> tuple[object, ...]:
            values = arguments.filled(arrays)
            if hasattr(getattr(f, "__self__", None), "backward"):
                f(*values)      # a layer object keeps what grad needs
            plain, with_dout = _takes(grad, len(values)), _takes(grad, len(values) + 1)
            if with_dout and (np.ndim(dout) or is_tree(dout) or not plain):
                return gradient_arrays(arguments.gradients(grad(*values, dout)))
            if is_tree(dout) or np.size(dout) != 1:
                raise ContractError(
                    f"f returns {'several arrays' if is_tree(dout) else f'shape {dout.shape}'}, "
                    "so grad must take a dout of that form as well: grad(x, dout) gives the "
                    "gradient of sum(dout * f(x)). Or let f return a number.")
            return scaled(np.reshape(dout, ()), gradient_arrays(arguments.gradients(grad(*values))))

        return forward, backward

    program = Program({"f": f, "grad": grad}, pair, "f", "grad")
    name = getattr(f, "__name__", type(f).__name__)
    return examine(Subject.of(program, arguments.arrays, arguments.names, name))


def check_scalar(
    f: Callable[[Any], object],
    params: Mapping[str, object],
    grads: Mapping[str, object] | Callable[[object], object],
    op: str = "model",
    seed: int = 0,
) -> Report:
    """Examine the gradients of a loss `f(params) -> number` over a dict of tensors, nested too.

    `grads` has params' names, or is a function of params that gives them. Tensors of up to 512
    elements are moved element by element, larger ones along signed random directions with bisection
    to a wrong element. For a complex step f must return the complex loss it is given (no `float`);
    else Richardson is used. Raises as `check`.

    >>> p = {"w": np.array([1.0, 2.0])}
    >>> check_scalar(lambda p: (p["w"] ** 2).sum(), p, {"w": 2 * p["w"]}).ok
    True
    """
    check_mapping("params", params)
    given = grads(params) if callable(grads) else grads
    check_mapping("grads", given)
    arguments = Arguments(f, (params,), every=True)
    values = gradient_arrays(tuple(gradients_of(params, given)))
    for name, value in zip(arguments.names, (*arguments.arrays, *values)):
        if value is not None and to_numpy(value).dtype.kind not in "fiub":
            raise ContractError(
                f"{name} must be an array of real numbers, got {describe(to_numpy(value))}")

    def pair(functions: Mapping[str, Function]) -> tuple[Function, Function]:
        def forward(*arrays: object) -> tuple[object, None]:
            return checked_number(functions["f"](*arguments.filled(arrays))), None

        return forward, lambda dout, cache: scaled(dout, values)

    def missing(name: str) -> str:
        return f"grads has none under {', '.join(paths(name))}; it has " \
            f"{', '.join(n for n, _ in leaves(given)) or 'nothing'}."

    program = Program({"f": f}, pair, "f", "f", missing)
    subject = Subject.of(program, arguments.arrays, arguments.names, op)
    report = examine(subject, seed, thorough=False)
    known = {s for name in arguments.names for s in paths(name)}
    report.findings += [
        Finding("unexpected-gradient", name, "There is a gradient but no parameter of this name.")
        for name, _ in leaves(given) if name not in known
    ]
    return report


def checked_number(out: object) -> Array:
    """What a loss gave, as a scalar; raises ContractError where it is not one number."""
    value = checked_output(out, "f")
    if is_tree(value) or value.size != 1:
        raise ContractError(f"f returned {describe(value)}; expected one number, the loss")
    return np.asarray(value.reshape(()))


def scaled(dout: object, gradients: tuple[object, ...]) -> tuple[object, ...]:
    """The gradients of a loss, times dout."""
    return tuple(dout * g if isinstance(g, np.ndarray) else g for g in gradients)


def gradient_arrays(gradients: tuple[object, ...]) -> tuple[object, ...]:
    """Gradients as arrays; None stays, and what is not an array is reported later."""
    # a subclass of NumPy's arrays may be writing down what is done to it
    return tuple(g if g is None or isinstance(g, (str, dict, np.ndarray)) or is_tree(g)
                 else to_numpy(g) for g in gradients)


def paths(name: str) -> list[str]:
    """The names under which the gradient of such as `fc.W` may be: `fc.W`, `fc.dW`, ..."""
    above, dot, last = name.rpartition(".")
    return [above + dot + spelling for spelling in spellings(last)]


def _takes(grad: Callable[..., object], count: int) -> bool:
    """Whether grad can be called with so many arrays; yes where Python does not know."""
    try:
        inspect.signature(grad).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        pass
    return True
