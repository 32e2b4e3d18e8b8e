"""Before any comparison: count, order, shapes and dtypes of what backward returned, in words."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .measure import random_dout
from .numeric import Array
from .report import Finding
from .subject import CallError, ContractError, Subject, describe


@dataclass
class Structure:
    """`out` of forward (None if it failed), the `findings`, and the `positions` worth measuring.

    `misshapen` are the positions whose gradient has another shape; their finding comes with the
    comparison, which often shows why.
    """

    out: Array | None = None
    findings: list[Finding] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    misshapen: list[int] = field(default_factory=list)


def check_structure(subject: Subject, rng: np.random.Generator) -> Structure:
    """Call forward and backward once and check what came back, without comparing a value."""
    result = Structure()
    failure = "forward-raises"
    try:
        out, _ = subject.run()
        if not np.all(np.isfinite(out)):
            message = "forward's own output holds a NaN or an infinity, so it has no derivative."
            result.findings.append(Finding("not-finite", "", message))
            return result
        failure = "backward-raises"
        grads = subject.gradients(random_dout(out.shape, rng))
    except ContractError as error:
        result.findings.append(Finding("contract", "", str(error)))
        return result
    except CallError as failed:
        step = failure.removesuffix("-raises")
        result.findings.append(Finding(failure, "", _raised(subject, step, failed.error)))
        return result
    result.out = out
    result.positions = list(subject.floats)
    if not subject.floats:
        return result
    if len(grads) != len(subject.inputs):
        result.findings.append(Finding("wrong-count", "", _count_text(subject, grads)))
        result.positions = result.positions if len(grads) > len(subject.inputs) else []
        return result
    order = _order(subject, grads)
    if order:
        result.findings.append(Finding("another-input", "", order))
        result.positions = []
        return result
    for i, grad in enumerate(grads):
        if i in subject.floats and _is_number(grad) and np.shape(grad) != subject.shape(i):
            result.misshapen.append(i)
            continue
        finding = _one(subject, i, grad)
        if finding:
            result.findings.append(finding)
    return result


def nothing_to_check(subject: Subject, out: Array) -> Finding:
    """A check that compares nothing proves nothing, and must not pass for a right one."""
    inputs = zip(subject.names, subject.inputs, strict=True)
    given = [f"{name} {'is None' if a is None else 'has ' + _kind(a)}" for name, a in inputs]
    why = "out is empty" if subject.floats and not out.size else "; ".join(given) or "no inputs"
    return Finding(
        "undecided", "",
        f"Nothing was checked, because no input has a gradient ({why}). Give arrays of floats that "
        "are not empty, such as rng.standard_normal((2, 3)); integers become floats by "
        "x.astype(float).")


def _kind(a: Array) -> str:
    return f"dtype {a.dtype}" if a.dtype.kind != "f" else f"shape {a.shape}"


def _raised(subject: Subject, step: str, error: Exception) -> str:
    if subject.forward not in subject.users:
        step = {"forward": "f", "backward": "grad"}[step]
    text = " ".join(str(error).split())[:200]
    return f"{step} raised {type(error).__name__}: {text}"


def _count_text(subject: Subject, grads: tuple[Any, ...]) -> str:
    names = ", ".join(subject.names)
    if len(grads) == 1 and isinstance(grads[0], (list, dict)):
        return (
            f"backward returned {describe(grads[0])}; expected a tuple of gradients, one for each "
            f"array of forward ({names})."
        )
    return (
        f"backward returned {len(grads)} gradient{'s' * (len(grads) != 1)}, but forward took "
        f"{len(subject.inputs)} arrays ({names}): one for each, in this order, None for integer "
        "ids."
    )


def _order(subject: Subject, grads: tuple[Any, ...]) -> str:
    """A sentence if the shapes fit in another order and not in this one, else ''."""
    shapes = [None if i not in subject.floats else subject.shape(i) for i in range(len(grads))]
    given = [g.shape if isinstance(g, np.ndarray) else None for g in grads]
    if given == shapes or sorted(map(str, given)) != sorted(map(str, shapes)):
        return ""
    for order in itertools.permutations(range(len(grads))):
        if all(given[j] == shapes[i] for i, j in enumerate(order)):
            meant = [subject.names[order.index(j)] for j in range(len(grads))]
            return (
                "The shapes returned fit the inputs in another order: backward seems to return"
                f" the gradients of ({', '.join(meant)}), forward takes"
                f" ({', '.join(subject.names)})."
            )
    return ""


def _is_number(grad: Any) -> bool:
    return isinstance(grad, (np.ndarray, np.generic, float, int))


def _one(subject: Subject, i: int, grad: Any) -> Finding | None:
    """What is wrong with one gradient, without its values."""
    name, x = subject.names[i], subject.inputs[i]
    if i not in subject.floats:
        what = (
            "is None" if x is None else f"holds {'flags' if x.dtype.kind == 'b' else 'integer ids'}"
        )
        text = f"{name} {what} and has no gradient; expected None, backward returned "
        return None if grad is None else Finding(
            "unexpected-gradient", name, f"{text}{describe(grad)}.")
    if grad is None:
        return Finding("missing-gradient", name,
                       f"{name} has shape {subject.shape(i)}, but backward returned None for it.")
    if not _is_number(grad):
        return Finding("not-an-array", name, f"The gradient of {name} is {describe(grad)}.")
    dtype = np.asarray(grad).dtype
    if dtype.kind != "f":
        return Finding("wrong-dtype", name, f"The gradient of {name} has dtype {dtype}.")
    return None if dtype == np.float64 else Finding(
        "float32", name,
        f"All inputs are float64, but the gradient of {name} is {dtype}: digits were lost on the "
        "way.")
