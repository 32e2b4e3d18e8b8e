"""The examination, from the first call to the report, of a pair, of any callable on arrays and its
gradient, or of the loss of a whole model.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import EPSILON
from ..gradcheck.pair import ContractError, describe, to_numpy
from .behaviour import check_contract, check_linear, check_mutation
from .diagnosis import diagnose
from .explain import sharpened
from .large import examine_large
from .measure import FULL, measure, row, step_around
from .numeric import COARSE, precision_name
from .report import Finding, Report, Row
from .structure import check_structure, nothing_to_check, sizes
from .subject import CallError, Subject, check_mapping, generator

NOTED = 1e-6  # a tolerance above this gets a note
NOT_REPEATABLE = ("accumulated-twice", "mask-redrawn", "not-repeatable")


def check(
    forward: Callable[..., Any], backward: Callable[..., Any], *inputs: Any, **settings: Any
) -> Report:
    """Examine a pair under the layer contract, and name what is wrong with its gradients.

    forward(*inputs, **settings) -> (out, cache)
    backward(dout, cache) -> a gradient for each input

    Integer and boolean inputs and None have no gradient. Nothing is raised for a wrong gradient:
    read `report.ok`, print the report, or call `report.raise_if_wrong()`. Raises ContractError, a
    ValueError, for inputs that are not numbers; what the pair itself raises at inputs of the
    check's making is raised as it is.

    >>> def square_forward(x): return x * x, x
    >>> def square_backward(dout, x): return (2 * dout * x,)
    >>> check(square_forward, square_backward, np.array([1.0, -2.0])).ok
    True
    """
    return examine(Subject(forward, backward, inputs, settings))


def check_function(f: Callable[..., Any], grad: Callable[..., Any], x: Any) -> Report:
    """Examine any callable on arrays through NumPy: hand-written, PyTorch, JAX.

    `f(x)` gives a number and `grad(x)` its gradient; or `f(x)` gives an array and `grad(x, dout)`
    the gradient of sum(dout * f(x)). `x` is an array, or a tuple of arrays for `f(*x)`, and then
    `grad` returns a tuple. f and grad are called with NumPy arrays, mostly of float64. Raises as
    `check`.

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
    return the complex loss it is given (no `float`); else Richardson is used. Raises as `check`.

    >>> p = {"w": np.array([1.0, 2.0])}
    >>> check_scalar(lambda p: (p["w"] ** 2).sum(), p, {"w": 2 * p["w"]}).ok
    True
    """
    check_mapping("params", params)
    check_mapping("grads", grads)
    names = list(params)
    given = tuple(None if grads.get(n) is None else _real(n, grads[n]) for n in names)

    def forward(*arrays: Any) -> tuple[Any, None]:
        return _one_array(f(dict(zip(names, arrays, strict=True)))), None

    def backward(dout: Array, cache: None) -> tuple[Any, ...]:
        return tuple(None if g is None else dout * g for g in given)

    arrays = tuple(_real(n, params[n]) for n in names)
    subject = Subject(forward, backward, arrays, {})
    subject.op, subject.names, subject.readable = op, names, False
    report = examine(subject, seed, thorough=False)
    report.findings += [
        Finding("unexpected-gradient", name, "There is a gradient but no parameter of this name.")
        for name in grads if name not in params
    ]
    return report


def _real(name: str, value: Any) -> Array:
    array = to_numpy(value)
    if array.dtype.kind not in "fiub":
        raise ContractError(f"{name} must be an array of real numbers, got {describe(array)}")
    return array.astype(np.float64)


def examine(subject: Subject, seed: int = 0, thorough: bool = True) -> Report:
    """Examine a Subject; the same `seed` gives the same report.

    `thorough=False` compares the gradients only, without the checks of behaviour and of odd sizes.
    What the pair itself raises at inputs of the check's making is raised as it is.
    """
    if not isinstance(subject, Subject):
        raise ContractError(f"examine takes a Subject, got {describe(subject)}")
    report = Report(subject.op)
    rng = generator(seed)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        # PyTorch's warning about read-only arrays, which are tried on purpose
        warnings.filterwarnings("ignore", ".*not writable.*", UserWarning)
        try:
            _examine(subject, rng, thorough, report)
        except CallError as failed:
            raise failed.error
    return report


def _examine(subject: Subject, rng: np.random.Generator, thorough: bool, report: Report) -> None:
    structure = check_structure(subject, rng)
    report.findings += structure.findings
    if structure.out is None:
        return
    positions = [i for i in structure.positions if subject.array(i).size]
    if not positions or not structure.out.size:
        if report.ok:
            report.findings.append(nothing_to_check(subject, structure.out))
        return
    if thorough:
        report.findings += check_mutation(subject, rng)
        if any(kind in NOT_REPEATABLE for kind in report.kinds):
            report.notes.append(
                "No gradient was compared: first the same call must give the same answer."
            )
            return
        subject, notes = step_around(subject, rng)
        report.notes += notes
    small = [i for i in positions if subject.array(i).size <= FULL]
    large = [i for i in positions if i not in small]
    measurement = measure(subject, rng, small)
    report.rows += [row(subject, i, verdict, measurement.method[i])
                    for i, verdict in measurement.verdict.items()]
    findings = diagnose(sharpened(measurement), structure.misshapen)
    rows, more, methods = examine_large(subject, large, structure.out, rng)
    report.rows += rows
    report.rows.sort(key=lambda line: subject.names.index(line.argument))
    named = {(f.kind, f.argument) for f in findings + more}  # with values, and so only once
    report.findings = [f for f in report.findings if (f.kind, f.argument) not in named]
    report.findings += findings + more
    used = [*measurement.method.values(), *methods.values()]
    subject.epsilon = max((method.epsilon for method in used), default=EPSILON)
    if subject.epsilon > COARSE:
        # forward itself computes so, and its gradient is as good as it can be
        report.findings = [f for f in report.findings if f.kind != "float32"]
        report.notes.append(_coarse(subject.epsilon))
    report.findings += [_undecided(line) for line in report.rows if line.undecided]
    report.notes += [note for line in report.rows if (note := _note(line))]
    if thorough and report.ok:
        try:
            found = check_contract(subject, rng) or sizes(subject, rng)
            report.findings += [found] if found else []
        except CallError as failed:  # inputs of our making that forward rejects
            report.notes.append(
                f"Not all behaviour could be checked: {type(failed.error).__name__}: {failed}")
    elif thorough and measurement.wrong and not any(f.nonlinear for f in report.findings):
        if found := check_linear(subject, rng):
            report.notes.append(found.message)


def _coarse(epsilon: float) -> str:
    return (
        f"forward computes in {precision_name(epsilon)}: errors of a gradient below about "
        f"{max(1e-4, 1000 * epsilon):.0e} cannot be seen. For a sharp check let it compute in "
        "float64: x.double() in PyTorch, jax_enable_x64 in JAX, no astype(np.float32) in NumPy."
    )


def _undecided(row: Row) -> Finding:
    return Finding(
        "undecided", row.argument,
        f"The gradient of {row.argument} may be right, but nothing is proven: the numerical one is "
        "so uncertain here that an error of 1 % could pass (forward is very steep, has a kink, or "
        "computes with few digits). Try other inputs, of about unit size and away from kinks, in "
        "float64.",
        evidence=f"the error is {row.error:.0e}, what would be allowed is {row.tolerance:.0e} of "
        "the whole gradient")


def _note(row: Row) -> str:
    """What else there is to report of a gradient that is right."""
    if row.noisy:
        return (
            f"{row.argument}: right up to rounding noise, which is {row.tolerance:.0e} of this "
            "gradient: large numbers cancel here, or it is nearly 0 beside what it could be."
        )
    if row.ok and not row.undecided and row.tolerance > NOTED and not row.coarse:
        return (
            f"{row.argument}: the numerical gradient is only known to {row.tolerance:.0e} here; a "
            "smaller error of backward cannot be seen. Try other inputs."
        )
    return ""


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
