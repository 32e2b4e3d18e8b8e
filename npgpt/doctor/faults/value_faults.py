"""Faults of values: zero, NaN, rounding, a factor, another input's gradient, a term or dout too
many or too few, single elements.

A generator takes Evidence and yields Faults: those that predict or undo are for the chooser to
compare, those that do neither were seen to hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from ...arrays import Array
from ...gradcheck.numeric import norm
from ..evidence.fault import DIGITS, NEARLY, Fault, adds, close, fit, gives
from ..evidence.measure import Evidence, usable
from ..evidence.picture import largest_block
from ..evidence.subject import CallError
from .multiple import kind_of, near, origin, plain, ratio, times

FEW = 3  # wrong elements that are listed one by one


def not_finite(v: Evidence) -> Iterator[Fault]:
    """NaN or infinity."""
    bad = ~np.isfinite(v.given[0])
    if bad.any():
        yield Fault(
            "not-finite", f"{int(bad.sum())} of {bad.size} elements are NaN or infinite.",
            "the values themselves")


def zero(v: Evidence) -> Iterator[Fault]:
    """Nothing comes back."""
    if not np.any(v.given) and np.any(v.truth):
        yield Fault(
            "zero-gradient",
            f"backward returns only zeros for {v.name}, but moving {v.name} moves the output.",
            f"the true gradient has length {norm(v.truth[0]):.3g}", cause=0.0)


def float32(v: Evidence) -> Iterator[Fault]:
    """Right to about seven digits: some step ran in float32, and rounding is seen everywhere."""
    errors = np.abs(v.rows - v.truth)
    gap, size = norm(errors), norm(v.truth)
    if not 1e-10 * size < gap < 3e-6 * size or v.digits > DIGITS:
        return
    exact = bool(np.all(v.rows == v.rows.astype(np.float32)))
    typical = size / math.sqrt(v.truth.size)
    small = np.all(errors <= 1e-4 * (np.abs(v.truth) + 1e-3 * typical)) and gap < 1e-6 * size
    # one element off by 1e-6 is a wrong element; rounding leaves its dust on nearly all
    there = v.truth != 0
    everywhere = np.mean((errors > 1e-3 * gap / size * np.abs(v.truth))[there]) > 0.6
    # and a steady factor such as 1.0000003 is not rounding, unless of a constant in float32
    steady = 0.5 * gap / size < abs(fit(v.rows, v.truth) - 1) and gap > 1e-7 * size
    if exact or (small and everywhere and not steady):
        rest = "every value is one that float32 can hold" if exact else "the errors have no pattern"
        yield Fault(
            "float32",
            f"The gradient of {v.name} is right to about {-math.log10(gap / size):.0f} digits only:"
            " right up to the noise of float32, which is used somewhere on the way.",
            f"relative error {gap / size:.1e}; {rest}", cause=round(math.log10(gap / size)))


def factor(v: Evidence) -> Iterator[Fault]:
    """A multiple of the truth: wrong sign, a mean for a sum, or a number with a source."""
    c = fit(v.rows, v.truth)
    if v.digits > DIGITS and plain(c) and abs(c / plain(c) - 1) < NEARLY:
        c = float(plain(c))
    # one number is a multiple of every other, and anything is one of nearly nothing
    chance = v.scalar and v.truth.shape[1] == 1 and not near(c, float(plain(c)))
    if c and not near(c, 1) and not chance and norm(v.truth) > 1e-9 * norm(v.rows):
        yield scaled(v, c)


def scaled(v: Evidence, c: float, predict: bool = True) -> Fault:
    """The name for c times the true gradient."""
    out = v.m.out if v.m else np.zeros(())
    rows = out.size // max(1, out.shape[-1] if out.ndim else 1)
    if len(v.shape) < out.ndim and rows > 1 and near(c * rows, 1):
        kind = "mean-for-sum"
        text = f"{v.name} is used at {rows} positions and its gradient is the sum over them; " \
            "backward takes the mean."
    else:
        kind = kind_of(c)
        where = origin(c, v.subject, lambda other: ratio(other, v.position))
        text = f"The gradient of {v.name} {times(c)}{where}."
    over = "for several random dout" if v.m else "along every random direction"
    return Fault(kind, text, f"backward = {c:.9g} * the true gradient, {v.words}, {over}",
                 predict=(lambda truth: c * truth) if predict else None,
                 cause=round(c, 7))


def of_others(v: Evidence) -> Iterator[Fault]:
    """The gradient of another input, given or added."""
    m = v.m
    for other, theirs in m.numeric.items() if m else ():
        assert m is not None
        if other == v.position or m.subject.shape(other) != v.given.shape[1:]:
            continue
        if v.shaped and close(theirs, fit(theirs, v.truth) * v.truth):
            continue  # such as p and t in p - t: then a wrong sign or factor is the better name
        name = m.subject.names[other]
        swapped = other in m.analytic and v.shaped and close(m.analytic[other], v.truth)
        given = f"This is the gradient of {name}, not of {v.name}."
        if swapped:
            given = "The gradients of {} and {} are swapped.".format(*sorted((v.name, name)))
        if not v.shaped:
            given = f"{v.name} has shape {v.shape}, its gradient has shape {v.given.shape[1:]}: " \
                f"it is the gradient of {name}."
            if not close(v.given.reshape(theirs.shape), theirs, v.digits):
                continue
        evidence = f"it equals the true gradient of {name} {v.words}"
        yield Fault(
            "another-input", given, evidence, predict=gives(theirs) if v.shaped else None,
            doubtful=not swapped,  # `dweight = dout.sum()` may lack a factor
            cause=swap((v.name, name)) if swapped else None)
        if v.shaped:
            yield Fault(
                "another-input", f"The gradient of {name} was added to that of {v.name}.",
                f"backward = true gradient of {v.name} + true gradient of {name}, {v.words}",
                predict=adds(theirs))


def swap(names: Iterable[str]) -> frozenset[str]:
    """The cause that two swapped gradients have in common."""
    return frozenset(names)


def extra_term(v: Evidence) -> Iterator[Fault]:
    """Right, but for something added that has no dout in it."""
    m = v.measurement
    try:
        rows = usable([m.subject.gradients(np.zeros(m.out.shape))], v.position, v.shape)
    except CallError:  # a backward that divides by dout, or rejects zeros
        return
    if rows is None or not np.any(rows) or not np.all(np.isfinite(rows)):
        return
    rest = rows[0]
    there = rest != 0
    values = rest[there]
    what = f"{values[0]:.6g}" if np.ptp(values) <= 1e-9 * abs(values[0]) else "a term"
    where = "" if there.all() else f" (at {largest_block(there.reshape(v.shape))})"
    yield Fault(
        "extra-term",
        f"Something is added to the gradient of {v.name} that has no dout in it: {what}{where}. "
        "Every term of a true gradient has dout as a factor.",
        "for a dout of zeros backward returns just that; without it, all the rest is right",
        predict=adds(rest), undo=lambda given: given - rest.reshape(v.shape),
        nonlinear=True)


def dout_forgotten(v: Evidence) -> Iterator[Fault]:
    """The gradient of the sum of out: dout is not in it."""
    if v.measurement.out.size > 1:
        whole = np.broadcast_to(v.jacobian.sum(axis=1), v.truth.shape)
        yield Fault(
            "missing-factor",
            f"The gradient of {v.name} does not depend on dout: it is the gradient of out.sum(). "
            "Multiply by dout.", "the same answer for different random dout",
            predict=gives(whole), nonlinear=True, cause="out.sum()")


def dout_nowhere(v: Evidence) -> Iterator[Fault]:
    """The same, and not zero, for every dout, whatever it is."""
    if len(v.given) > 1 and np.any(v.given) and np.all(v.given == v.given[:1]):
        text = f"What backward gives for {v.name} does not depend on dout, which is a factor of " \
            "every term of a true gradient."
        if not v.shaped:
            text = f"{v.name} has shape {v.shape}, its gradient has shape {v.given.shape[1:]}, " \
                "and does not depend on dout: the factor that dout is in is missing."
        yield Fault("missing-factor", text, "the same answer for different random dout",
                    nonlinear=True)


def differing(v: Evidence, predicted: Array) -> Array:
    """Where the given (K, N) differs from a prediction by more than its digits and the error bars:
    a mask (N,)."""
    m = v.measurement
    typical = float(np.sqrt(np.mean(np.square(predicted)))) if predicted.size else 0.0
    errors = np.abs(m.douts.reshape(len(m.douts), -1)) @ m.errors[v.position].T
    allowed = v.digits * (np.abs(predicted) + 1e-3 * typical) + 5 * errors
    return np.asarray((~(np.abs(v.rows - predicted) <= allowed)).any(axis=0))


def wrong_elements(v: Evidence) -> Fault | None:
    """All is right but for one element, or for two or three among many."""
    wrong = differing(v, v.truth)
    count = int(wrong.sum())
    if not 0 < count <= max(1, min(FEW, wrong.size // 8)) or wrong.size < 3:
        return None
    how, nonlinear = {}, False
    for n in map(int, np.flatnonzero(wrong)):
        words, constant = _how(v.rows[:, n], v.truth[:, n])
        how[tuple(map(int, np.unravel_index(n, v.shape)))] = words
        nonlinear = nonlinear or constant
    fault = list_elements(v.name, how, f"the other {wrong.size - count} are right {v.words}")
    return replace(fault, nonlinear=nonlinear)


def list_elements(name: str, how: dict[tuple[int, ...], str], evidence: str) -> Fault:
    """The name for a few wrong elements: their places, and how each is wrong."""
    count = len(how)
    noun = "One element" if count == 1 else f"{count} elements"
    text = "; ".join(f"{list(index)} {words}" for index, words in how.items())
    return Fault("wrong-element", f"{noun} of the gradient of {name} "
                 f"{'is' if count == 1 else 'are'} wrong: {text}.", evidence)


def _how(given: Array, truth: Array) -> tuple[str, bool]:
    """What is wrong with one element, from its values for several dout, and whether that is the
    same for all of them."""
    if not np.all(np.isfinite(given)):
        return "is NaN or infinite", False
    if not np.any(given):
        return "is zero", False
    if np.ptp(given) <= 1e-9 * np.abs(given).max():
        return f"is {given[0]:.6g}, whatever dout is", True
    c = fit(given, truth)
    if c and norm(given - c * truth) <= 1e-9 * norm(given):
        return times(c), False
    gap = given - truth
    if np.ptp(gap) <= 1e-7 * np.abs(gap).max():
        return f"has {gap[0]:.6g} added to it, whatever dout is", True
    return f"is off by {np.abs(gap).max():.2g}", False
