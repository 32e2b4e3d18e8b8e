"""What a pair does besides computing: does it write where it must not, or remember a call?"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import norm, signs
from .evidence.numeric import Gradient, judged, ways
from .evidence.pair import fresh_copy
from .evidence.report import Finding
from .evidence.subject import CallError, Subject

DIGITS = 1e-8


def check_mutation(subject: Subject, rng: np.random.Generator) -> list[Finding]:
    """Does it write into inputs, cache or dout, or answer differently the second time?"""
    found = _check_writes(subject, rng)
    if not found and (other := _check_repeats(subject, rng)):
        found.append(other)
    return found


def check_contract(subject: Subject, rng: np.random.Generator) -> Finding | None:
    """For a pair whose gradients are right: does it remember a call, or depend on memory layout?"""
    checks = (_check_stale_cache, check_linear, _check_layouts, _check_shared_input)
    return next((found for check in checks if (found := check(subject, rng))), None)


def same(a: object, b: object) -> bool:
    """Equal in every bit; containers are compared part by part."""
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (np.ndarray, np.generic)) and isinstance(b, (np.ndarray, np.generic)):
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
    if hasattr(a, "__dict__") and type(a) is type(b) and not callable(a):
        return same(vars(a), vars(b))
    return True  # strings, sizes, files: nothing that a gradient could be written into


class AllClose:
    """Are two answers of backward the same up to rounding? Each gradient by its own size.

    `digits` is what the relative error may be. Where a gradient is zero in exact arithmetic,
    rounding is measured against the length that it could have had, and unless `exact` against what
    a unit in the last place of the inputs moves.
    """

    def __init__(
        self, subject: Subject, out: Array, dout: Array, digits: float = DIGITS, exact: bool = False
    ) -> None:
        self.subject, self.dout, self.exact = subject, dout, exact
        self._moved: dict[int, float] = {}
        self.digits = max(digits, 2000 * subject.epsilon)
        self.floors = {i: 5000 * subject.epsilon * subject.scale(i, out, dout)
                       for i in subject.floats if subject.array(i).size}

    def _noise(self, position: int) -> float:
        """How far a unit in the last place of the inputs and of dout moves one gradient."""
        if position not in self._moved:
            rng, subject = np.random.default_rng(0), self.subject
            moved = subject.each(lambda a: a * (1 + 4 * subject.epsilon * signs(a.shape, rng))
                                 if a.dtype.kind == "f" else a)
            before, after = subject.gradients(self.dout), moved.gradients(self.dout)
            self._moved[position] = norm(np.asarray(before[position]) - after[position])
        return self._moved[position]

    def __call__(self, first: tuple[object, ...], second: tuple[object, ...]) -> bool:
        return len(first) == len(second) and all(map(self.one, range(len(first)), first, second))

    def one(self, position: int, a: object, b: object) -> bool:
        """Is the gradient of one input the same in both answers?"""
        if a is None or b is None:
            return a is b
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape or a.dtype.kind not in "fc":
            return a.shape == b.shape and same(a, b)
        gap = norm(a - b)
        allowed = self.digits * norm(a) + self.floors.get(position, 0.0)
        # where all of it is rounding, such as at the minimum of a loss
        return gap <= allowed or not np.isfinite(gap) or (
            not self.exact and gap <= 30 * self._noise(position))


def _check_writes(subject: Subject, rng: np.random.Generator) -> list[Finding]:
    """Inputs, cache and dout must be as they were."""
    arrays = subject.copies()
    out, cache = subject.call(arrays)
    findings = [
        Finding(
            "in-place", name,
            f"forward writes into its input {name}; a layer writes only into arrays of its own.",
            evidence="the array differs after the call")
        for name, now, before in zip(subject.names, arrays, subject.inputs, strict=True)
        if before is not None and not same(now, before)
    ]
    before = fresh_copy(cache)
    dout = signs(np.shape(out), rng)
    given = dout.copy()
    first = copy.deepcopy(subject.call_backward(given, cache))
    if not same(given, dout):
        findings.append(Finding(
            "in-place", "dout",
            "backward writes into dout. A residual connection hands the same dout to two places, "
            "so the other one gets the overwritten array.", evidence="dout differs after the call"))
    # an object may keep its gradients: only what backward reads again must stay as it was
    if not same(before, cache) and not _answers_again(subject, first, dout, cache):
        findings.append(Finding(
            "in-place", "cache",
            "backward writes into its cache, so that a second call answers differently.",
            evidence="the cache differs after the call, and so does a second answer"))
    return findings


def _answers_again(subject: Subject, first: tuple[object, ...], dout: Array, cache: object) -> bool:
    """Does backward give the same for the cache that it has changed, or grow by a step?"""
    try:
        second, third = (_backward(subject, dout.copy(), cache) for _ in range(2))
    except CallError:
        return False
    return same(first, second) or same(_steps(first, second), _steps(second, third))


def _check_repeats(subject: Subject, rng: np.random.Generator) -> Finding | None:
    """The same call gives the same answer, forward and backward."""
    first, cache = subject.run()
    if not same(first, subject.run()[0]):
        return Finding(
            "not-repeatable", "",
            "forward gives another output for the same inputs. If it draws random numbers, let it "
            "take rng= and pass np.random.default_rng(0) to the check.",
            evidence="two calls differ")
    dout = signs(first.shape, rng)
    one, two, three = (_backward(subject, dout.copy(), cache) for _ in range(3))
    if same(one, two) and same(two, three):
        return None
    if AllClose(subject, first, dout, exact=True)(_steps(one, two), _steps(two, three)):
        return Finding(
            "accumulated-twice", "",
            "backward adds to an array that it keeps: with the same dout and cache its answer grows"
            " by the same amount in every call. Let it begin with an array of its own in each call,"
            " such as np.zeros_like(x); adding up is the caller's part.",
            evidence="three calls with the same dout and cache")
    drawn = "rng" in subject.settings or "rate" in subject.settings
    return Finding(
        "mask-redrawn" if drawn else "not-repeatable", "",
        "backward gives another answer for the same dout and cache: it draws random numbers or "
        "keeps something between calls. What forward drew belongs into the cache.",
        evidence="two calls with the same dout and cache")


def _steps(before: tuple[Any, ...], after: tuple[Any, ...]) -> tuple[object, ...]:
    """What each gradient grew by from one call to the next."""
    return tuple(
        None if a is None or b is None or np.shape(a) != np.shape(b) else np.asarray(b) - a
        for a, b in zip(before, after, strict=False)
    )


def _elsewhere(subject: Subject, rng: np.random.Generator) -> Subject:
    """Other inputs of the same shapes, and generators that have moved on."""
    other = subject.moved(0.3, rng)
    other.settings = {name: fresh_copy(value) for name, value in subject.settings.items()}
    for value in other.settings.values():
        if isinstance(value, np.random.Generator):
            value.random(3)
    return other


def _check_stale_cache(subject: Subject, rng: np.random.Generator) -> Finding | None:
    """Two forwards, then two backwards: each must belong to its own cache."""
    other = _elsewhere(subject, rng)
    out, cache = subject.run()
    dout = signs(out.shape, rng)
    alone = _backward(subject, dout.copy(), cache)
    _, cache = subject.run()
    _, other_cache = other.run()
    evidence = ""
    if not AllClose(subject, out, dout)(alone, _backward(subject, dout.copy(), cache)):
        evidence = "forward on A, forward on B, then backward of A differs from backward of A alone"
    elif same(_backward(subject, dout.copy(), other_cache), alone):
        if _is_wrong_for(other, alone, dout, rng):
            evidence = "backward gives the same for two inputs whose true gradients differ"
    return None if not evidence else Finding(
        "stale-cache", "",
        "backward does not use the cache it is given: after another forward it answers for that "
        "one. What backward needs must travel in the cache, not in a global or an attribute (a "
        "layer object that keeps it in itself: check_layer(layer, x)).",
        evidence=evidence)


def _is_wrong_for(
    other: Subject, given: tuple[object, ...], dout: Array, rng: np.random.Generator
) -> bool:
    """Are these gradients wrong for another subject, along a random direction of some input?"""
    out = other.run()[0]
    for i in other.floats:
        x = other.array(i)
        moves = [signs(x.shape, rng)]
        gradients = [Gradient(other, i, out, dout[None], moves, way)
                     for way in ways(other.out_as_function_of(i), x, rng)]
        if judged(gradients, np.asarray(given[i])[None])[0].verdict == "wrong":
            return True
    return False


def _backward(subject: Subject, dout: Array, cache: object) -> tuple[Any, ...]:
    """What backward returns, in arrays that no later call can change."""
    return copy.deepcopy(subject.call_backward(dout, cache))


def check_linear(subject: Subject, rng: np.random.Generator) -> Finding | None:
    """backward(2a - 3b) = 2 backward(a) - 3 backward(b)."""
    out, cache = subject.run()
    a, b = signs(out.shape, rng), signs(out.shape, rng)
    mixed, of_a, of_b = (
        _backward(subject, dout, cache) for dout in (2 * a - 3 * b, a.copy(), b.copy()))
    close = AllClose(subject, out, 2 * np.abs(a) + 3 * np.abs(b), 1e-6)
    for i, (whole, first, second) in enumerate(zip(mixed, of_a, of_b, strict=True)):
        if isinstance(whole, np.ndarray) and not close.one(i, whole, 2 * first - 3 * second):
            return Finding(
                "not-linear", subject.names[i] if i < len(subject.names) else "",
                "backward is not linear in dout, as every true gradient is: dout enters each term "
                "exactly once.", evidence="backward(2a - 3b) is not 2 backward(a) - 3 backward(b)",
                nonlinear=True)
    return None


def _check_layouts(subject: Subject, rng: np.random.Generator) -> Finding | None:
    """Strided, Fortran-ordered, broadcast and read-only arrays give what plain ones give."""
    out, _ = subject.run()
    dout = signs(out.shape, rng)
    flat = np.broadcast_to(np.asarray(0.7), out.shape)
    rows = subject.each(_first_row)
    for words, one, change, given in (
        ("non-contiguous", subject, _strided, _strided(dout)),
        ("Fortran-ordered", subject, _fortran, _fortran(dout)),
        ("read-only", subject, _read_only, flat),
        ("broadcast (np.broadcast_to)", rows, _first_row, dout),
    ):
        message = _compare_layout(words, one, change, given)
        if message:
            return Finding("layout", "", message, evidence="the same values in plain arrays")
    return None


def _compare_layout(
    words: str, subject: Subject, change: Callable[[Array], Array], dout: Array
) -> str:
    """What is wrong with the changed arrays, which `words` name; or ''."""
    try:
        out, cache = subject.run()
        expected = _backward(subject, dout.copy(), cache)
    except CallError:  # rows that are all alike may not be a valid input
        return ""
    if not all(np.all(np.isfinite(a)) for a in (out, *expected) if isinstance(a, np.ndarray)):
        return ""
    try:
        moved, cache = subject.call([None if a is None else change(a) for a in subject.copies()])
        if not same(np.isclose(moved, out, 1e-6, 1e-9), np.ones(out.shape, bool)):
            return ""  # random numbers that are drawn in the order of memory, as PyTorch's are
        grads = _backward(subject, dout, cache)
    except CallError as failed:
        return f"With {words} arrays a call raises {type(failed.error).__name__}: {failed}"
    if AllClose(subject, out, dout)(expected, grads):
        return ""
    return f"With {words} arrays of the same values backward gives another answer."


def _first_row(a: Array) -> Array:
    """The first row again and again, all in one place of memory, read-only."""
    return np.broadcast_to(a[:1], a.shape) if a.ndim and a.size else a


def _fortran(a: Array) -> Array:
    # not np.asfortranarray: it makes a scalar one-dimensional
    return np.array(a, order="F")


def _strided(a: Array) -> Array:
    if a.ndim == 0:
        return a
    wide = np.zeros(a.shape[:-1] + (2 * a.shape[-1],), a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def _read_only(a: Array) -> Array:
    a.flags.writeable = False
    return a


def _check_shared_input(subject: Subject, rng: np.random.Generator) -> Finding | None:
    """One array given as two inputs: each gradient stays its own part, and the tape adds them."""
    for i, j in itertools.combinations(subject.floats, 2):
        if subject.shape(i) != subject.shape(j):
            continue
        twins = subject.with_input(j, subject.array(i))
        out, cache = twins.run()
        dout = signs(out.shape, rng)
        expected = _backward(subject, dout.copy(), cache)
        arrays = twins.copies()
        arrays[j] = arrays[i]
        _, cache = subject.call(arrays)
        if not AllClose(subject, out, dout)(expected, _backward(subject, dout.copy(), cache)):
            first, second = subject.names[i], subject.names[j]
            return Finding(
                "shared-input", first,
                f"When one array is given as both {first} and {second}, backward answers otherwise "
                "than for two equal arrays.", evidence="the same values, once as two arrays")
    return None
