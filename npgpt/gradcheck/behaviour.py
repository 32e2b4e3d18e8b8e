"""What a pair does besides computing: does it write where it must not, or remember a call?"""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np

from .measure import random_dout
from .numeric import Array, choose_method, derivative, signs
from .report import Finding
from .subject import Subject

DIGITS = 1e-8


def damage(subject: Subject, rng: np.random.Generator) -> list[Finding]:
    """Does it write into inputs, cache or dout, or answer differently the second time?"""
    return _writes(subject, rng) or _repeats(subject, rng)


def habits(subject: Subject, rng: np.random.Generator) -> list[Finding]:
    """For a pair whose numbers are right: does it remember a call, or depend on memory layout?"""
    for test in (_remembers, linear, _layouts, _shared):
        found = test(subject, rng)
        if found:
            return found
    return []


def same(a: Any, b: Any, tolerance: float = 0.0) -> bool:
    """Equal, arrays up to a relative tolerance; containers are compared part by part."""
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key], tolerance) for key in a)
    if isinstance(a, (np.ndarray, np.generic)) and isinstance(b, (np.ndarray, np.generic)):
        if np.shape(a) != np.shape(b):
            return False
        if tolerance == 0 or a.dtype.kind not in "fc":
            return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
        gap = float(np.linalg.norm(np.asarray(a) - np.asarray(b)))
        return gap <= tolerance * max(1.0, float(np.linalg.norm(np.asarray(a)))) or not gap == gap
    if hasattr(a, "__dict__") and type(a) is type(b) and not callable(a):
        return same(vars(a), vars(b), tolerance)
    return True  # strings, sizes, files: nothing that a gradient could damage


def _writes(subject: Subject, rng: np.random.Generator) -> list[Finding]:
    """Inputs, cache and dout must be as they were."""
    findings = []
    arrays = [None if a is None else a.copy() for a in subject.inputs]
    out, cache = subject.forward(*arrays, **subject.fresh_settings())
    for name, now, before in zip(subject.names, arrays, subject.inputs, strict=True):
        if before is not None and not same(now, before):
            findings.append(
                Finding(
                    "in-place",
                    name,
                    f"forward writes into its input {name}; a layer writes only into arrays of "
                    "its own.",
                    evidence="the array differs after the call",
                )
            )
    try:
        kept = copy.deepcopy(cache)
    except Exception:  # something that cannot be copied cannot be compared either
        kept = None
    dout = random_dout(np.shape(out), rng)
    given = dout.copy()
    subject.backward(given, cache)
    if not same(given, dout):
        findings.append(
            Finding(
                "in-place",
                "dout",
                "backward writes into dout. A residual connection hands the same dout to two "
                "places, so the other one gets the damaged array.",
                evidence="dout differs after the call",
            )
        )
    if kept is not None and not same(kept, cache):
        findings.append(
            Finding(
                "in-place",
                "cache",
                "backward writes into its cache, so a second call would answer differently.",
                evidence="the cache differs after the call",
            )
        )
    return findings


def _repeats(subject: Subject, rng: np.random.Generator) -> list[Finding]:
    """The same call gives the same answer, forward and backward."""
    first, cache = subject.run()
    again, _ = subject.run()
    if not same(first, again):
        return [
            Finding(
                "not-repeatable",
                "",
                "forward gives another output for the same inputs. If it draws random numbers, "
                "let it take rng= and pass np.random.default_rng(0) to the check.",
                evidence="two calls differ",
            )
        ]
    dout = random_dout(first.shape, rng)
    one = copy.deepcopy(subject.backward(dout.copy(), cache))
    two = subject.backward(dout.copy(), cache)
    if same(one, two):
        return []
    doubled = tuple(g if g is None else 2 * np.asarray(g) for g in one)
    if same(doubled, tuple(two), DIGITS):
        return [
            Finding(
                "accumulated-twice",
                "",
                "A second call of backward returns twice the first: it adds to an array that it "
                "keeps.",
                evidence="two calls with the same dout and cache",
            )
        ]
    return [
        Finding(
            (
                "mask-redrawn"
                if "rng" in subject.settings or "rate" in subject.settings
                else "not-repeatable"
            ),
            "",
            "backward gives another answer for the same dout and cache: it draws random numbers "
            "or keeps something between calls. What forward drew belongs into the cache.",
            evidence="two calls with the same dout and cache",
        )
    ]


def _elsewhere(subject: Subject, rng: np.random.Generator) -> Subject:
    """Other inputs of the same shapes, and generators that have moved on."""
    other = subject.with_inputs(
        tuple(
            a + 0.3 * rng.standard_normal(a.shape) if a is not None and a.dtype.kind == "f" else a
            for a in subject.inputs
        )
    )
    other.settings = subject.fresh_settings()
    for value in other.settings.values():
        if isinstance(value, np.random.Generator):
            value.random(3)
    return other


def _remembers(subject: Subject, rng: np.random.Generator) -> list[Finding]:
    """Two forwards, then two backwards: each must belong to its own cache."""
    other = _elsewhere(subject, rng)
    out, cache = subject.run()
    dout = random_dout(out.shape, rng)
    alone = _tuple(subject.backward(dout.copy(), cache))
    _, cache = subject.run()
    _, other_cache = other.run()
    late = _tuple(subject.backward(dout.copy(), cache))
    stale = Finding(
        "stale-cache",
        "",
        "backward does not use the cache it is given: after another forward it answers for that "
        "one. What backward needs must travel in the cache, not in a global or an attribute.",
        evidence=(
            "forward on A, forward on B, then backward of A differs from backward of A alone"
        ),
    )
    if not same(alone, late, DIGITS):
        return [stale]
    there = _tuple(subject.backward(dout.copy(), other_cache))
    if not same(there, alone) or not _moves(subject, other, dout, rng):
        return []
    return [
        Finding(
            "stale-cache",
            "",
            stale.message,
            evidence="backward gives the same for two inputs whose true gradients differ",
        )
    ]


def _moves(subject: Subject, other: Subject, dout: Array, rng: np.random.Generator) -> bool:
    """Do the true gradients of the two subjects differ, along a random direction of each input?"""
    for i in subject.floats:
        x = subject.array(i)
        direction = signs(x.shape, rng)
        slopes = []
        for one in (subject, other):
            function = one.out_as_function_of(i)
            at = one.array(i)
            method = choose_method(function, at, rng)
            slopes.append(
                float(np.sum(dout * derivative(function, at, [direction], method).values[0]))
            )
        if abs(slopes[0] - slopes[1]) > 1e-6 * max(map(abs, slopes)) + 1e-9 * np.linalg.norm(dout):
            return True
    return False


def _tuple(grads: Any) -> tuple[Any, ...]:
    return copy.deepcopy(grads if isinstance(grads, tuple) else (grads,))


def linear(subject: Subject, rng: np.random.Generator) -> list[Finding]:
    """backward(2a - 3b) = 2 backward(a) - 3 backward(b)."""
    out, cache = subject.run()
    a, b = random_dout(out.shape, rng), random_dout(out.shape, rng)
    mixed = _tuple(subject.backward(2 * a - 3 * b, cache))
    parts = _tuple(subject.backward(a.copy(), cache)), _tuple(subject.backward(b.copy(), cache))
    for i, (whole, first, second) in enumerate(zip(mixed, *parts, strict=True)):
        if whole is None or not isinstance(whole, np.ndarray):
            continue
        expected = 2 * first - 3 * second
        if not same(whole, expected, 1e-6):
            name = subject.names[i] if i < len(subject.names) else ""
            return [
                Finding(
                    "not-linear",
                    name,
                    "backward is not linear in dout: 2a - 3b does not give 2 times the answer for"
                    " a minus 3 times that for b. Every true gradient is: dout enters each term"
                    " exactly once.",
                    evidence="two random dout",
                )
            ]
    return []


def _layouts(subject: Subject, rng: np.random.Generator) -> list[Finding]:
    """Strided, Fortran-ordered, broadcast and read-only arrays give what plain ones give."""
    out, cache = subject.run()
    dout = random_dout(out.shape, rng)
    expected = _tuple(subject.backward(dout.copy(), cache))
    for words, change in (("non-contiguous", _strided), ("Fortran-ordered", _fortran)):
        finding = _compare_layout(subject, words, change, dout, expected)
        if finding:
            return [finding]
    flat = np.broadcast_to(np.asarray(0.7), out.shape)
    expected = _tuple(subject.backward(flat.copy(), cache))
    finding = _compare_layout(subject, "broadcast, read-only", _read_only, flat, expected)
    return [finding] if finding else []


def _compare_layout(
    subject: Subject, words: str, change: Any, dout: Array, expected: tuple[Any, ...]
) -> Finding | None:
    arrays = [None if a is None else change(a.copy()) for a in subject.inputs]
    try:
        out, cache = subject.forward(*arrays, **subject.fresh_settings())
        grads = _tuple(subject.backward(dout if words.startswith("b") else change(dout), cache))
    except Exception as error:
        return Finding(
            "layout",
            "",
            f"With {words} arrays a call raises {type(error).__name__}: {error}",
            evidence="the same values in plain arrays work",
        )
    if same(grads, expected, DIGITS):
        return None
    return Finding(
        "layout",
        "",
        f"With {words} arrays of the same values backward gives another answer.",
        evidence="the same values in plain arrays",
    )


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


def _shared(subject: Subject, rng: np.random.Generator) -> list[Finding]:
    """One array given as two inputs: each gradient stays its own part, and the tape adds them."""
    for i, j in itertools.combinations(subject.floats, 2):
        if subject.shape(i) != subject.shape(j):
            continue
        twins = subject.with_inputs(
            subject.inputs[:j] + (subject.inputs[i],) + subject.inputs[j + 1 :]
        )
        out, cache = twins.run()
        dout = random_dout(out.shape, rng)
        expected = _tuple(subject.backward(dout.copy(), cache))
        arrays = [None if a is None else a.copy() for a in twins.inputs]
        arrays[j] = arrays[i]
        _, cache = subject.forward(*arrays, **subject.fresh_settings())
        if not same(_tuple(subject.backward(dout.copy(), cache)), expected, DIGITS):
            return [
                Finding(
                    "shared-input",
                    subject.names[i],
                    f"When one array is given as both {subject.names[i]} and {subject.names[j]}, "
                    "backward answers otherwise than for two equal arrays.",
                    evidence="the same values, once as two arrays",
                )
            ]
    return []
