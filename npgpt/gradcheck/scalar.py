"""A loss over a dict of tensors: a whole model, one row of the table for each parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .check import examine
from .numeric import Array
from .report import Finding, Report
from .subject import Subject


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
