"""Count, order, shapes and dtypes of what backward returned, in words; and the sizes at which a
forgotten special case shows, empty axes and axes of length one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import norm, signs
from ..gradcheck.pair import ContractError, describe
from .evidence.measure import measure, step_around
from .evidence.report import Finding
from .evidence.subject import CallError, Program, Subject
from .evidence.tree import is_array, leaves
from .reading.raised import described


@dataclass
class Structure:
    """`out` of forward (None if it failed), the `findings`, and the `positions` worth measuring.

    `misshapen` are the positions whose gradient has another shape; their finding comes with the
    comparison, which often shows why. `numbers` is false if a gradient holds no real numbers: it is
    not compared, nor is anything that is seen by calling backward again.
    """

    out: Array | None = None
    findings: list[Finding] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    misshapen: list[int] = field(default_factory=list)
    numbers: bool = True


def check_structure(subject: Subject, rng: np.random.Generator) -> Structure:
    """Call forward and backward once and check what came back, without comparing a value."""
    failure = "forward-raises"
    try:
        out, _ = subject.run()
        if out.dtype.kind == "c":
            message = "out is complex for real inputs; expected real numbers."
            return Structure(findings=[Finding("contract", "", message)])
        if not np.all(np.isfinite(out)):
            message = "forward's own output holds a NaN or an infinity, so it has no derivative."
            return Structure(findings=[Finding("not-finite", "", message)])
        failure = "backward-raises"
        grads = subject.gradients(signs(out.shape, rng))
    except ContractError as error:
        return Structure(findings=[Finding("contract", "", str(error))])
    except CallError as failed:
        step = failure.removesuffix("-raises")
        message = _raised(subject, step, failed.error)
        if step == "backward" and _takes_swapped(subject):
            message = "backward takes (cache, dout); the order is backward(dout, cache). As it " \
                f"is, {message}"
        return Structure(findings=[Finding(failure, "", message)])
    positions = list(subject.floats)
    if positions and len(grads) != len(subject.inputs):
        more = len(grads) > len(subject.inputs)
        finding = Finding("wrong-count", "", _count_text(subject, grads))
        return Structure(out, [finding], positions if more else [])
    if positions and (order := _order(subject, grads)):
        return Structure(out, [Finding("another-input", "", order)])
    strange = [i for i in positions if grads[i] is not None and not _is_real(grads[i])]
    positions = [i for i in positions if i not in strange]
    misshapen = [i for i in positions
                 if _is_number(grads[i]) and np.shape(grads[i]) != subject.shape(i)]
    found = [_one(subject, i, grad) for i, grad in enumerate(grads) if i not in misshapen]
    findings = [finding for finding in found if finding and (positions or strange)]
    return Structure(out, findings, positions, misshapen, not strange)


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
    program = subject.program
    step = program.forward if step == "forward" else program.backward
    return f"{step} raised {described(error)}"


def _takes_swapped(subject: Subject) -> bool:
    """Does backward give gradients of the inputs' shapes if it is called as backward(cache, dout)?
    """
    out, cache = subject.run()
    try:
        grads = subject.call_backward(cache, np.ones(out.shape))
    except CallError:
        return False
    return len(grads) == len(subject.inputs) and all(
        np.shape(grads[i]) == subject.shape(i) for i in subject.floats)


def _count_text(subject: Subject, grads: tuple[object, ...]) -> str:
    names = ", ".join(subject.names)
    if len(grads) == 1 and grads[0] is None:
        return "backward returned None: a `return` is forgotten, or it returns nothing. Expected " \
            f"one gradient for each array of forward ({names})."
    if len(grads) == 1 and isinstance(grads[0], (list, dict)):
        return (
            f"backward returned {describe(grads[0])}; expected a tuple of gradients, one for each "
            f"array of forward ({names})."
        )
    several = len(subject.inputs) != 1
    nests = [name for name, value in subject.settings.items() if isinstance(value, Mapping)
             and any(is_array(v) for _, v in leaves(value))]
    dicts = f" The dict {nests[0]} counts as a setting: give its arrays one by one, or use " \
        "check_function, which takes dicts." if nests else ""
    return (
        f"backward returned {len(grads)} gradient{'s' * (len(grads) != 1)}, but forward took "
        f"{len(subject.inputs)} array{'s' * several} ({names})"
        f"{': one for each, in this order, None for integer ids' * several}.{dicts}"
    )


def _order(subject: Subject, grads: tuple[object, ...]) -> str:
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


def _is_number(grad: object) -> bool:
    return isinstance(grad, (np.ndarray, np.generic, float, int)) and not isinstance(
        grad, np.ma.MaskedArray)


def _is_real(grad: object) -> bool:
    return _is_number(grad) and np.asarray(grad).dtype.kind in "fiub"


def _one(subject: Subject, i: int, grad: Any) -> Finding | None:
    """What is wrong with one gradient, without its values."""
    name, x = subject.names[i], subject.inputs[i]
    if i not in subject.floats:
        if x is not None and x.dtype.kind == "f":
            return None     # a constant, whose gradient nobody asks for
        what = (
            "is None" if x is None else f"holds {'flags' if x.dtype.kind == 'b' else 'integer ids'}"
        )
        text = f"{name} {what} and has no gradient; expected None, backward returned "
        return None if grad is None else Finding(
            "unexpected-gradient", name, f"{text}{describe(grad)}.")
    if grad is None:
        if len(subject.inputs) == 1 and subject.program.missing is Program.missing:
            return Finding("missing-gradient", name, _count_text(subject, (grad,)))
        return Finding("missing-gradient", name,
                       f"{name} has shape {subject.shape(i)}, but {subject.program.missing(name)}")
    if not _is_number(grad):
        return Finding("not-an-array", name, f"The gradient of {name} is {describe(grad)}.")
    dtype = np.asarray(grad).dtype
    if dtype.kind != "f":
        return Finding("wrong-dtype", name, f"The gradient of {name} has dtype {dtype}.")
    bad = int((~np.isfinite(grad)).sum())
    if bad and np.all(np.isfinite(subject.array(i))):
        return Finding(
            "not-finite", name, f"{bad} of {np.size(grad)} elements of the gradient of {name} are "
            "NaN or infinite at the inputs given.", evidence="the values themselves")
    return None if dtype == np.float64 else Finding(
        "float32", name,
        f"All inputs are float64, but the gradient of {name} is {dtype}: digits were lost on the "
        "way.")


def sizes(subject: Subject, rng: np.random.Generator, notes: list[str]) -> Finding | None:
    """Shrink each axis to 1 (the first one also to 0); where forward works, so must backward.

    Axes of equal length in several inputs are taken for the same axis and shrink together. Only the
    batch is tried empty: a layer without channels is nobody's wish. A backward that raises there
    gives no wrong gradient (a reshape to -1 does so), which is worth one of the `notes`.
    """
    if subject.fixed_sizes:
        return None
    whole = subject.run()[0].shape
    arrays = [a for a in subject.inputs if a is not None and a.ndim > 1]
    batch = arrays[0].shape[0] if arrays else 0
    lengths = sorted({n for a in subject.inputs if a is not None for n in a.shape if n > 1})
    for length in (n for n in lengths if _is_free(subject, n)):
        for size in (1, 0) if length == batch else (1,):
            small = subject.cut({length: size})
            try:
                small.run()
            except CallError:  # forward rejects such an input, which is its right
                continue
            small, _ = step_around(small, rng)
            expected = tuple(size if n == length else n for n in whole)
            finding = _examined_small(small, size, expected, rng, notes)
            if finding:
                return finding
    return None


def _is_free(subject: Subject, length: int) -> bool:
    """Does the pair take one more along the axes of this length? Else it has the size inside, such
    as np.eye(10), and broadcasts an axis of length one against it."""
    for a in subject.inputs:  # probabilities and one-hot rows are none any more when they are cut
        for axis, n in enumerate(() if a is None else a.shape):
            if a is not None and n == length and np.allclose(a.sum(axis), 1):
                return False
    more = subject.cut({length: length + 1})
    whole = subject.run()[0].shape
    try:
        # where two do not fit, one fits only since it is broadcast: a table of positions, cut to T
        subject.cut({length: min(length, 2)}).run()
        out = more.run()[0]
        grads = more.gradients(np.ones(out.shape))
    except CallError:
        return False
    # a size that backward has inside is no special case of one
    return out.shape == tuple(n + 1 if n == length else n for n in whole) and all(
        np.shape(grads[i]) == more.shape(i) for i in more.floats)


def _examined_small(
    small: Subject, size: int, expected: tuple[int, ...], rng: np.random.Generator,
    notes: list[str],
) -> Finding | None:
    shapes = ", ".join(str(np.shape(a)) for a in small.inputs if a is not None)
    out, _ = small.run()
    if out.shape != expected or not np.all(np.isfinite(out)):
        return None  # something inside has its own size and was broadcast against the inputs
    kind = "size-0" if size == 0 else "size-1"
    try:
        grads = small.gradients(signs(out.shape, rng))
    except CallError as failed:
        if isinstance(failed.error, ZeroDivisionError):
            return None  # a mean over nothing: forward only got away with it
        text = f"For inputs of shape {shapes} forward works, but backward raises " \
            f"{type(failed.error).__name__}: {failed}"
        notes += [text] if size == 0 else []
        return Finding(kind, "", text) if size else None
    for i in small.floats:
        shape = small.shape(i)
        given: Any = grads[i] if i < len(grads) else None
        if np.shape(given) != shape:
            return Finding(
                kind, small.names[i],
                f"For inputs of shape {shapes} the gradient of {small.names[i]} has shape "
                f"{np.shape(given)} instead of {shape}.")
    if any(small.array(i).size > 256 for i in small.floats):
        return None
    measured = measure(small, rng, [i for i in small.floats if small.array(i).size])
    for i in measured.wrong:
        # a special case is wrong as a whole; a saturated softmax only has rounding left
        gap = norm(measured.analytic[i] - measured.numeric[i])
        rounding = 1e-8 * small.scale(i, out, measured.douts)
        if gap < max(rounding, 1e-6 * max(norm(measured.numeric[i]), 1e-3 * norm(measured.douts))):
            continue
        return Finding(
            kind, small.names[i],
            f"For inputs of shape {shapes} the gradient of {small.names[i]} is wrong (relative "
            f"error {measured.verdict[i].error:.1e}), though it is right at the given sizes.")
    return None
