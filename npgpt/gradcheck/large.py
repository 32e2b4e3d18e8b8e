"""Large inputs: sampled along directions; a fault is then named on inputs cut small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .diagnosis import diagnose
from .measure import measure, random_dout
from .numeric import (
    COMPLEX_STEP,
    EPSILON,
    Array,
    Method,
    choose_method,
    complex_step,
    richardson,
)
from .report import Finding, Row
from .sampling import DIRECTIONS, Sample, Slope, sample
from .subject import Subject
from .view import Explanation
from .whole import explain_whole, few_wrong, told_few

MANY = 20_000  # elements from which on differences are taken along fewer directions
SMALL = (4, 6, 3, 5, 8, 12, 7, 2)


def examine_large(
    subject: Subject, positions: list[int], out: Array, rng: np.random.Generator
) -> tuple[list[Row], list[Finding], dict[int, Method]]:
    """A row for each large input, the findings, the methods; for a name the inputs are cut down."""
    rows, findings = [], []
    wrong: dict[int, Sample] = {}
    methods: dict[int, Method] = {}
    few: dict[int, Explanation] = {}
    for i in positions:
        x = subject.array(i)
        dout = random_dout(out.shape, rng)
        analytic = np.asarray(subject.gradients(dout)[i], dtype=np.float64)
        if analytic.shape != x.shape:
            continue
        size = max(float(np.linalg.norm(x)), 1e-3)
        reach = float(np.linalg.norm(dout) * np.linalg.norm(out.astype(np.float64)) / size)
        slope, method = make_slope(subject.out_as_function_of(i), dout, x, rng)
        count = DIRECTIONS if x.size < MANY or method.name == COMPLEX_STEP else 3
        verdict = sample(analytic, slope, reach, rng, method.epsilon, count, locate=False)
        if (not verdict.ok or verdict.undecided) and method.name != COMPLEX_STEP:
            verdict, method = _aside(subject, i, dout, reach, rng, method) or (verdict, method)
        if not verdict.ok:
            verdict = sample(analytic, slope, reach, rng, method.epsilon, count)
        methods[i] = method
        rows.append(
            Row(
                subject.op,
                subject.names[i],
                x.shape,
                verdict.error,
                method.name,
                method.why,
                verdict.tolerance,
                verdict.ok,
                verdict.zero,
                sampled=True,
                undecided=verdict.undecided,
            )
        )
        if not verdict.ok:
            wrong[i] = verdict
            whole = verdict.index is not None and bool(np.all(np.isfinite(analytic)))
            places = few_wrong(analytic, slope, verdict.index or (), rng) if whole else None
            if places:
                few[i] = told_few(subject.names[i], places)
    smaller = _named_smaller(subject, wrong, rng) if set(wrong) - set(few) else {}
    for i, verdict in wrong.items():
        numbers: dict[str, Any] = {
            "index": verdict.index,
            "analytic": verdict.analytic,
            "numeric": verdict.numeric,
            "error_bar": verdict.error_bar,
        }
        known = smaller.get(subject.names[i])
        own = few.get(i) or (None if known else explain_whole(subject, i, rng))
        if own:
            known = Finding(own.kind, subject.names[i], own.message, evidence=own.evidence)
        if known:
            partly = "." in verdict.picture  # a picture of nothing but wrong ones tells nothing
            picture = known.picture or (verdict.picture if partly else "")
            findings.append(replace(known, **numbers, picture=picture))
        else:
            findings.append(_unnamed(subject.names[i], verdict, numbers))
    return rows, findings, methods


def _aside(
    subject: Subject,
    i: int,
    dout: Array,
    reach: float,
    rng: np.random.Generator,
    method: Method,
) -> tuple[Sample, Method] | None:
    """The verdict a little aside, if it is that the gradient is right there.

    Among many elements some lie on or near a bend, such as ReLU's at 0, and a difference reaches
    across it. A complex step does not, nor do differences where no element is near. That a wrong
    gradient equals the numbers by chance is out of the question, and so this can only clear a pair,
    never accuse it.
    """
    x = subject.array(i)
    for attempt in range(3):
        aside = x + 0.05 * rng.standard_normal(x.shape) * np.maximum(1.0, np.abs(x))
        if attempt > 1:  # most bends are at 0
            aside = x + np.where(x < 0, -0.1, 0.1) * max(1.0, float(np.abs(x).max()))
        moved = subject.with_inputs(subject.inputs[:i] + (aside,) + subject.inputs[i + 1 :])
        out_of = moved.out_as_function_of(i)
        way = Method(COMPLEX_STEP, "beside the bends that differences reach across")
        if attempt:
            way = choose_method(out_of, aside, rng)
            way = replace(way, why=way.why + "; taken a little beside the bends")
        try:
            analytic = np.asarray(moved.gradients(dout)[i], dtype=np.float64)
            slope = _slope(out_of, dout, aside, way)
            verdict = sample(analytic, slope, reach, rng, method.epsilon, 3, locate=False)
        except Exception:  # no complex numbers, or not at this place
            continue
        if verdict.ok and not verdict.undecided:
            return verdict, way
    return None


def _unnamed(name: str, verdict: Sample, numbers: dict[str, Any]) -> Finding:
    c = verdict.factor
    if verdict.analytic is not None and not np.isfinite(verdict.analytic):
        return Finding(
            "not-finite", name, f"The gradient of {name} holds NaN or infinity.", **numbers
        )
    if c is None:
        return Finding(
            "unexplained",
            name,
            f"The gradient of {name} is wrong along random directions; halving the tensor again "
            "and again led to the element shown. In the picture the last axis runs to the "
            "right, each cell stands for many elements, and # is a wrong one.",
            **numbers,
            picture=verdict.picture,
        )
    evidence = "the same multiple along every random direction, to eight digits"
    if c == 0:
        return Finding(
            "zero-gradient",
            name,
            f"backward gives only zeros for {name}.",
            evidence=evidence,
            **numbers,
        )
    if abs(c + 1) < 1e-7:
        return Finding(
            "wrong-sign",
            name,
            f"The gradient of {name} has the wrong sign.",
            evidence=evidence,
            **numbers,
        )
    return Finding(
        "factor",
        name,
        f"The gradient of {name} is {c:.6g} times the true one.",
        evidence=evidence,
        **numbers,
    )


def make_slope(
    out_of: Callable[[Array], Array], dout: Array, x: Array, rng: np.random.Generator
) -> tuple[Slope, Method]:
    """A function direction -> (derivative of sum(dout * out), error bar), and its method."""
    method = choose_method(out_of, x, rng)
    return _slope(out_of, dout, x, method), method


def _slope(out_of: Callable[[Array], Array], dout: Array, x: Array, method: Method) -> Slope:
    def slope(direction: Array) -> tuple[float, float]:
        if method.name == COMPLEX_STEP:
            value = float(complex_step(lambda z: np.sum(dout * out_of(z)), x, direction))
            return value, 16 * EPSILON * abs(value)
        # each element of out keeps the step that suits it, and the signs of dout are random, so
        # that their errors add like the sides of a right angle
        along, bars, _ = richardson(out_of, x, direction, method.grain, 1e-9)
        bar = float(np.linalg.norm(dout * bars))
        value = float(np.sum(dout * along))
        return value, bar + EPSILON * float(np.linalg.norm(dout * along))

    return slope


def _named_smaller(
    subject: Subject, wrong: dict[int, Sample], rng: np.random.Generator
) -> dict[str, Finding]:
    """Findings by argument from cut-down inputs on which the same arguments are wrong, if any."""
    for inputs in _cut(subject, rng):
        small = subject.with_inputs(inputs)
        try:
            small.run()
            if any(small.array(i).size > 512 for i in small.floats):
                continue
            grads = small.gradients(random_dout(small.run()[0].shape, rng))
            fits = [i for i in small.floats if np.shape(grads[i]) == small.shape(i)]
            measured = measure(small, rng, fits)
        except Exception:  # sizes that the layer does not take
            continue
        if not set(wrong) <= set(measured.wrong):
            continue
        shapes = ", ".join(str(np.shape(a)) for a in small.inputs if a is not None)
        result: dict[str, Finding] = {}
        for finding in diagnose(measured, []):
            if finding.kind in ("unexplained", "wrong-element"):
                continue  # then a picture of the whole tensor says more
            told = (
                f"{finding.message} (Named on inputs cut down to {shapes}, where it is wrong"
                " too.)"
            )
            for name in finding.argument.split(", "):
                result.setdefault(name, replace(finding, argument=name, message=told))
        return result
    return {}


def _cut(subject: Subject, rng: np.random.Generator) -> Iterator[tuple[Array | None, ...]]:
    """The inputs with long axes cut to short ones, equal lengths alike, in several ways."""
    lengths = sorted({n for a in subject.inputs if a is not None for n in a.shape})
    for attempt in range(24):
        if attempt == 0:
            sizes = {n: min(n, SMALL[k % 5]) for k, n in enumerate(lengths)}
        else:
            sizes = {n: int(min(n, rng.choice(SMALL))) for n in lengths}
        least = min(sizes.values(), default=1)
        yield tuple(None if a is None else _cut_one(a, sizes, least) for a in subject.inputs)


def _cut_one(a: Array, sizes: dict[int, int], least: int) -> Array:
    for axis, n in enumerate(a.shape):
        a = a.take(range(sizes[n]), axis)
    return np.where(a > 0, a % max(least, 1), a) if a.dtype.kind in "iu" else a
