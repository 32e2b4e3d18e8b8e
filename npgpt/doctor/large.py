"""Large inputs: sampled along directions; a fault is then named on inputs cut small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ..arrays import Array
from ..gradcheck.compare import Agreement
from ..gradcheck.numeric import COMPLEX_STEP, EPSILON, NotComplex, norm, signs
from .diagnosis import diagnose
from .explain import explain_large
from .fault import Fault
from .measure import FULL, measure, row
from .multiple import kind_of, times
from .numeric import Way, ways
from .picture import picture
from .report import Finding, Row
from .sampling import DIRECTIONS, Located, Slope, few_wrong, locate, sample
from .subject import CallError, Subject

MANY = 20_000  # elements from which on differences are taken along fewer directions
SMALL = (4, 6, 3, 5, 8, 12, 7, 2)  # lengths that axes are cut to
ATTEMPTS = 24  # at cutting the inputs small


def examine_large(
    subject: Subject, positions: list[int], out: Array, rng: np.random.Generator
) -> tuple[list[Row], list[Finding], dict[int, Way]]:
    """A row for each large input, the findings, the methods; for a name the inputs are cut down."""
    rows: list[Row] = []
    wrong: dict[int, Located] = {}
    methods: dict[int, Way] = {}
    few: dict[int, Fault] = {}
    for i in positions:
        x = subject.array(i)
        dout = signs(out.shape, rng)
        analytic = np.asarray(subject.gradients(dout)[i], dtype=np.float64)
        if analytic.shape != x.shape:
            continue
        scale = subject.scale(i, out, dout)
        out_of = subject.out_as_function_of(i)
        method = ways(out_of, x, rng)[0]
        slope = _slope(out_of, dout, x, method)
        count = DIRECTIONS if x.size < MANY or method.exact else 3
        verdict = sample(analytic, slope, scale, rng, method.epsilon, count)
        if verdict.verdict != "right" and not method.exact:
            beside = _beside_kinks(subject, i, dout, scale, rng, method)
            verdict, method = beside or (verdict, method)
        if verdict.verdict == "wrong":
            wrong[i] = place = locate(analytic, slope, verdict, rng, method.epsilon)
            if place.cells is not None:
                found = few_wrong(subject.names[i], analytic, slope, place.index, rng)
                few.update({i: found} if found else {})
        methods[i] = method
        rows.append(row(subject, i, verdict, method, sampled=True))
    smaller = _named_smaller(subject, wrong, rng) if set(wrong) - set(few) else {}
    findings = []
    for i, place in wrong.items():
        name = subject.names[i]
        fault = few.get(i) or (None if name in smaller else explain_large(subject, i, rng))
        if fault:
            finding = Finding(fault.kind, name, fault.message, evidence=fault.evidence,
                              nonlinear=fault.nonlinear)
        else:
            finding = smaller.get(name) or _unnamed(name, place)
        drawn = finding.picture
        # a picture of nothing but wrong ones shows nothing, beside a name
        if place.cells is not None and (finding.kind == "unexplained" or not place.cells.all()):
            drawn = drawn or picture(place.cells)
        findings.append(replace(
            finding, index=place.index, analytic=place.analytic, numeric=place.numeric,
            error_bar=place.error_bar, picture=drawn))
    return rows, findings, methods


def _beside_kinks(
    subject: Subject, i: int, dout: Array, scale: float, rng: np.random.Generator, method: Way
) -> tuple[Agreement, Way] | None:
    """The verdict a little aside, if it is that the gradient is right there.

    Among many elements some lie on or near a kink, such as ReLU's at 0, and a difference reaches
    across it. A complex step does not, nor do differences where no element is near. That a wrong
    gradient equals the numerical one by chance is out of the question, and so this can only prove a
    pair right, never wrong.
    """
    x = subject.array(i)
    for attempt in range(3):
        aside = x + 0.05 * rng.standard_normal(x.shape) * np.maximum(1.0, np.abs(x))
        if attempt > 1:  # most kinks are at 0
            aside = x + np.where(x < 0, -0.1, 0.1) * max(1.0, float(np.abs(x).max()))
        moved = subject.with_input(i, aside)
        out_of = moved.out_as_function_of(i)
        try:
            way = Way(COMPLEX_STEP, "beside the kinks that differences reach across")
            if attempt:
                way = ways(out_of, aside, rng)[0]
                way = replace(way, why=way.why + "; taken a little beside the kinks")
            analytic = np.asarray(moved.gradients(dout)[i], dtype=np.float64)
            slope = _slope(out_of, dout, aside, way)
            verdict = sample(analytic, slope, scale, rng, method.epsilon, 3)
        except (CallError, NotComplex):  # not with complex numbers, or not at this place
            continue
        if verdict.verdict == "right":
            return verdict, way
    return None


def _unnamed(name: str, place: Located) -> Finding:
    """A multiple of the truth, or what nothing explains."""
    c = place.factor
    if not np.isfinite(place.analytic):
        return Finding("not-finite", name, f"The gradient of {name} holds NaN or infinity.")
    if c is not None:
        return Finding(kind_of(c), name, f"The gradient of {name} {times(c)}.",
                       evidence="the same multiple along every random direction, to eight digits")
    return Finding(
        "unexplained",
        name,
        f"The gradient of {name} is wrong along random directions; halving the tensor again "
        "and again led to the element shown. In the picture the last axis runs to the "
        "right, each cell stands for many elements, and # is a wrong one.",
    )


def _slope(out_of: Callable[[Array], Array], dout: Array, x: Array, method: Way) -> Slope:
    """A function direction -> (derivative of sum(dout * out), error bar)."""

    def slope(direction: Array) -> tuple[float, float]:
        # each element of out keeps the step that suits it, and the signs of dout are random, so
        # that their errors add like the sides of a right angle
        along, errors, _ = method.along(out_of, x, direction)
        error = norm(dout * errors)
        return float(np.sum(dout * along)), error + EPSILON * norm(dout * along)

    return slope


def _named_smaller(
    subject: Subject, wrong: dict[int, Located], rng: np.random.Generator
) -> dict[str, Finding]:
    """Findings by argument from cut-down inputs on which the same arguments are wrong, if any."""
    for small in _cut(subject, rng):
        try:
            out = small.run()[0]
            if any(small.array(i).size > FULL for i in small.floats):
                continue
            grads = small.gradients(signs(out.shape, rng))
            fits = [i for i in small.floats
                    if i < len(grads) and np.shape(grads[i]) == small.shape(i)]
            measured = measure(small, rng, fits)
        except CallError:  # sizes that the layer does not take
            continue
        if not set(wrong) <= set(measured.wrong):
            continue
        shapes = ", ".join(str(np.shape(a)) for a in small.inputs if a is not None)
        result: dict[str, Finding] = {}
        for finding in diagnose(measured, []):
            if finding.kind in ("unexplained", "wrong-element"):
                continue  # then a picture of the whole tensor shows more
            message = f"{finding.message} (Named on inputs cut down to {shapes}, where it is " \
                "wrong too.)"
            for name in finding.argument.split(", "):
                result.setdefault(name, replace(finding, argument=name, message=message))
        return result
    return {}


def _cut(subject: Subject, rng: np.random.Generator) -> Iterator[Subject]:
    """The inputs with long axes cut to short ones, equal lengths alike, in several ways."""
    lengths = sorted({n for a in subject.inputs if a is not None for n in a.shape})
    for attempt in range(ATTEMPTS):
        if attempt == 0:
            sizes = {n: min(n, SMALL[k % 5]) for k, n in enumerate(lengths)}
        else:
            sizes = {n: int(min(n, rng.choice(SMALL))) for n in lengths}
        least = max(1, min(sizes.values(), default=1))
        yield subject.cut(sizes).each(
            lambda a: np.where(a > 0, a % least, a) if a.dtype.kind in "iu" else a)
