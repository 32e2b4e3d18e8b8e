"""Large inputs: sampled along directions; a fault is then named on inputs cut small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ..arrays import Array
from ..gradcheck.compare import WHOLE, Agreement
from ..gradcheck.numeric import COMPLEX_STEP, EPSILON, NotComplex, norm, signs
from .choose import diagnose, explain
from .evidence.fault import DIGITS, NEARLY, Fault
from .evidence.measure import FULL, Evidence, measure, row
from .evidence.numeric import Way, ways
from .evidence.picture import picture
from .evidence.report import Finding, Row
from .evidence.subject import CallError, Subject
from .sampling import DIRECTIONS, Sample, Slope, few_wrong, sample, wrong_cells

MANY = 20_000  # elements from which on differences are taken along fewer directions
SMALL = (4, 6, 3, 5, 8, 12, 7, 2)  # lengths that axes are cut to
ATTEMPTS = 24  # at cutting the inputs small


def examine_large(
    subject: Subject, positions: list[int], out: Array, rng: np.random.Generator
) -> tuple[list[Row], list[Finding], dict[int, Way]]:
    """A row for each large input, the findings, the methods; for a name the inputs are cut down."""
    rows: list[Row] = []
    wrong: dict[int, tuple[Sample, Way]] = {}
    misshapen: list[Finding] = []
    methods: dict[int, Way] = {}
    for i in positions:
        x = subject.array(i)
        # where out is one number, the numbers shown are the user's own
        dout = signs(out.shape, rng) if out.size > 1 else np.ones(out.shape)
        given = np.asarray(subject.gradients(dout)[i], dtype=np.float64)
        scale = subject.scale(i, out, dout)
        out_of = subject.out_as_function_of(i)
        method = ways(out_of, x, rng)[0]
        slope = _slope(out_of, dout, x, method)
        if given.shape != x.shape:
            found = replace(sample(np.zeros(x.shape), slope, rng), given=given)
            misshapen.append(_misshapen(subject, i, found, method))
            continue
        count = DIRECTIONS if x.size < MANY or method.exact else 3
        found = sample(given, slope, rng, count)
        verdict = found.verdict(scale, method.epsilon)
        if verdict.verdict != "right" and not method.exact:
            beside = _beside_kinks(subject, i, dout, scale, rng, method)
            verdict, method = beside or (verdict, method)
        if verdict.verdict == "wrong":
            more = found if count == DIRECTIONS else sample(given, slope, rng)
            wrong[i] = more, method
        methods[i] = method
        rows.append(row(subject, i, verdict, method, sampled=True))
    return rows, [*misshapen, *_findings(subject, wrong, rng)], methods


def _evidence(subject: Subject, i: int, found: Sample, way: Way) -> Evidence:
    return Evidence(
        subject, i, found.given[None], found.true[None], lambda rows: found.along(rows[0])[None],
        NEARLY if way.coarse else DIGITS)


def _misshapen(subject: Subject, i: int, found: Sample, way: Way) -> Finding:
    name = subject.names[i]
    faults = explain(_evidence(subject, i, found, way))
    if not faults:
        text = f"{name} has shape {subject.shape(i)}, its gradient has shape {found.given.shape}; "
        faults = [Fault("wrong-shape", text + "they must be equal.")]
    words = " ".join(fault.sentence for fault in faults)
    return Finding(faults[0].kind, name, words, evidence=faults[0].evidence)


def _findings(
    subject: Subject, wrong: dict[int, tuple[Sample, Way]], rng: np.random.Generator
) -> list[Finding]:
    """A name for each wrong gradient, else a picture."""
    worst, cells, named = {}, {}, {}
    for i, (found, way) in wrong.items():
        name = subject.names[i]
        worst[i] = found.worst()
        faults = explain(_evidence(subject, i, found, way))
        if not faults:
            allowed = max(WHOLE, 100 * way.epsilon) * norm(found.true) / DIRECTIONS**0.5
            cells[i] = wrong_cells(found.given, found.slope, allowed)
            few = few_wrong(name, found, worst[i], rng)
            faults = [few] if few else []
        named[i] = [Finding(fault.kind, name, fault.sentence, evidence=fault.evidence)
                    for fault in faults]
    # only where a size is not its source is a multiple of the whole explained by its number
    vague = [i for i, found in named.items() if not found or found[0].kind == "factor"]
    smaller = _named_smaller(subject, wrong, rng) if vague else {}
    findings = []
    for i, (found, _) in wrong.items():
        name = subject.names[i]
        best = [smaller[name]] if i in vague and name in smaller else named[i]
        for finding in best or [_unnamed(name)]:
            numeric, error = found.at(worst[i])
            drawn = finding.picture
            # a picture of nothing but wrong ones shows nothing
            if i in cells and not cells[i].all():
                drawn = drawn or picture(cells[i])
            findings.append(replace(
                finding, index=worst[i], analytic=float(found.given[worst[i]]), numeric=numeric,
                error_bar=error, picture=drawn))
    return findings


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
            verdict = sample(analytic, slope, rng, 3).verdict(scale, method.epsilon)
        except (CallError, NotComplex):  # not with complex numbers, or not at this place
            continue
        if verdict.verdict == "right":
            return verdict, way
    return None


def _unnamed(name: str) -> Finding:
    return Finding(
        "unexplained",
        name,
        f"The gradient of {name} is wrong along random directions; halving the tensor again "
        "and again led to the element shown. In a picture the last axis runs to the "
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
    subject: Subject, wrong: dict[int, tuple[Sample, Way]], rng: np.random.Generator
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
