"""How clipping and the schedule are graded: every variant that people write is replayed."""

import copy
import math
from dataclasses import replace

import numpy as np

from npgpt.doctor import Program, diagnose_value
from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.doctor.values.program import Variant
from npgpt.doctor.values.training import clip, learning_rate


def _by_norm(norm):
    """Clipping by another measure than the norm."""
    def clipped(grads, *, max_norm):
        size = norm([*grads.values()])
        return {name: g * (max_norm / size if size > max_norm else 1) for name, g in grads.items()}

    return clipped


def _by_factor(factor):
    """Clipping with another factor, where the norm is above the limit."""
    def clipped(grads, *, max_norm):
        norm = math.sqrt(sum((g * g).sum() for g in grads.values()))
        return {name: g * (factor(norm, max_norm) if norm > max_norm else 1)
                for name, g in grads.items()}

    return clipped


CLIP = replace(PROGRAMS["clip"], variants=[
    *PROGRAMS["clip"].variants,
    ("largest-norm-for-norm", _by_norm(lambda gs: max(np.linalg.norm(g) for g in gs)),
     "the norm is that of the largest array alone: the squares of all of them are to be added"),
    ("one-array-for-norm", _by_norm(lambda gs: np.linalg.norm(gs[-1])), "the norm is that of the "
     "last array alone: the squares of all of them are to be added"),
    ("one-array-for-norm", _by_norm(lambda gs: np.linalg.norm(gs[0])), "the norm is that of the "
     "first array alone: the squares of all of them are to be added"),
    ("sum-for-norm", _by_norm(lambda gs: sum(abs(g).sum() for g in gs)), "the sizes of all "
     "elements are added: the norm is the root of the sum of their squares"),
    ("sum-for-norm", _by_norm(lambda gs: abs(sum(g.sum() for g in gs))), "the elements are added "
     "without squaring: positive and negative ones cancel"),
    ("norm-mean-for-sum", _by_norm(lambda gs: math.sqrt(sum((g * g).mean() for g in gs))),
     "the squares are averaged in each array: they are to be added"),
    ("norm-mean-for-sum", _by_norm(lambda gs: math.sqrt(np.mean([(g * g).mean() for g in gs]))),
     "the squares are averaged, over the elements and the arrays: they are to be added"),
    ("norm-mean-for-sum", _by_norm(lambda gs: math.sqrt(np.mean([(g * g).sum() for g in gs]))),
     "the squares are averaged over the arrays: they are to be added"),
    ("factor-upside-down", _by_factor(lambda norm, most: norm / most), "the factor is upside "
     "down: it is max_norm / norm"),
    ("not-divided-by-norm", _by_factor(lambda norm, most: most), "the gradient is multiplied by "
     "max_norm, and not divided by its norm"),
    ("zeroed-when-long", _by_factor(lambda norm, most: 0.0), "a gradient above the limit becomes "
     "zero: it is to keep its direction, with the length max_norm"),
    ("norm-subtracted", _by_factor(lambda norm, most: 1 - most / norm), "a part of length max_norm "
     "is taken away: what is left is to have that length"),
])


def descend(params, micro_grads, *, lr, max_norm, wrong={}):
    """One step along the clipped mean of the micro-batches' gradients."""
    k = len(micro_grads)
    lr = 1.0 if "lr-forgotten" in wrong else -lr if "ascent" in wrong else lr

    def limited(grads, most=max_norm):
        if "clipped-after-step" in wrong:
            return grads
        return clip(grads, max_norm=most, wrong=wrong)

    def moved(params, grads):
        return {name: p - lr * grads[name] for name, p in params.items()}

    def mean(many):
        return {name: sum(g[name] for g in many) / len(many) for name in params}

    if "zeroed-each-time" in wrong:
        micro_grads = micro_grads[-1:]
    if "first-batch-only" in wrong:
        micro_grads = micro_grads[:1]
    if "params-not-updated" in wrong:
        return params
    total = {name: k * g for name, g in mean(micro_grads).items()}
    if "step-per-micro-batch" in wrong:
        for grads in micro_grads:
            params = moved(params, limited(grads))
        return params
    if "clipped-each-micro-batch" in wrong:
        if wrong["clipped-each-micro-batch"] == 1:
            return moved(params, mean([limited(g) for g in micro_grads]))
        many = [limited(g) for g in micro_grads]
        if wrong["clipped-each-micro-batch"] == 2:
            return moved(params, {name: k * g for name, g in mean(many).items()})
        part = 1 / k if wrong["clipped-each-micro-batch"] == 3 else 1
        so_far = {name: 0.0 * g for name, g in micro_grads[0].items()}
        for grads in micro_grads:
            so_far = limited({name: a + part * grads[name] for name, a in so_far.items()})
        return moved(params, so_far if part < 1 or wrong["clipped-each-micro-batch"] == 4 else {
            name: a / k for name, a in so_far.items()})
    if "clipped-before-mean" in wrong:
        return moved(params, {name: g / k for name, g in limited(total).items()})
    if "sum-for-mean" in wrong:
        return moved(params, limited(total))
    if "limit-per-micro-batch" in wrong:
        return moved(params, limited(mean(micro_grads), max_norm * k))
    if "clipped-with-lr" in wrong:
        return {name: params[name] - g for name, g in limited(
            {name: lr * g for name, g in mean(micro_grads).items()}).items()}
    if "parameters-clipped" in wrong:
        return clip(moved(params, mean(micro_grads)), max_norm=max_norm)
    return moved(params, limited(mean(micro_grads)))


_EACH = ("every micro-batch is clipped: average the gradients first, and clip once, what the step "
         "will use")


def _run(function, inputs, settings):
    """The new parameters; those given, where the function writes there and returns no dict."""
    params, micro_grads = copy.deepcopy(inputs)
    out = function(params, micro_grads, **settings)
    return params if out is None else out


def _draw(rng, given, n):
    shapes = {"a": (2, 3 + n), "b": (4,), "c": (5, 2)}
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    micro = [{name: size * rng.standard_normal(shape) for name, shape in shapes.items()}
             for size in [(3.0, 0.2, 1.0), (0.1, 0.2), (0.5, 4.0, 2.0, 1.0)][n % 3]]
    return (params, micro), {"lr": 0.3, "max_norm": 0.7}


DESCEND = Program("descend", descend, [
    *(Variant("clipped-each-micro-batch", _EACH, n) for n in (1.0, 2.0, 3.0, 4.0, 5.0)),
    Variant("clipped-after-step", "the step is taken with the gradient as it was: clipping must "
            "come before the parameters move, and the step must use what clip returns"),
    Variant("clipped-before-mean", "the sum is clipped and then divided by k: the mean is what is "
            "clipped"),
    Variant("clipped-per-tensor", "each array is clipped by its own norm: one norm over all of "
            "them is meant"),
    Variant("sum-for-mean", "the gradients of the micro-batches are added, not averaged"),
    Variant("zeroed-each-time", "only the last micro-batch counts: the others are to be added up "
            "with it"),
    Variant("first-batch-only", "only the first micro-batch counts"),
    Variant("step-per-micro-batch", "the parameters move at every micro-batch: k of them make one "
            "step"),
    Variant("params-not-updated", "the parameters never change: p = p - ... makes a new array and "
            "gives it a name; it has to be put into a dict"),
    Variant("limit-per-micro-batch", "the limit is multiplied by k: the mean is clipped to "
            "max_norm itself"),
    Variant("clipped-with-lr", "lr times the gradient is clipped: clip the gradient itself, then "
            "multiply by lr"),
    Variant("parameters-clipped", "the parameters are clipped: it is the gradient that is too "
            "long"),
    Variant("ascent", "the sign of the step is wrong: it climbs"),
    Variant("lr-forgotten", "the gradient is not multiplied by lr"),
], draw=_draw, run=_run, conventions=PROGRAMS["clip"].conventions)


def _rate(warm=None, done=None, height=None, end=None):
    """The schedule with another formula in one place."""
    def rate(step, *, lr, min_lr, warmup, total):
        if step < warmup:
            return (warm or (lambda: lr * (step + 1) / (warmup + 1)))(
                *[step, lr, min_lr, warmup] if warm else [])
        if step >= total:
            return end(lr, min_lr) if end else min_lr
        d = done(step, warmup, total) if done else (step - warmup) / (total - warmup)
        h = height(d) if height else (1 + math.cos(math.pi * d)) / 2
        return min_lr + (lr - min_lr) * h

    return rate


def _no_least_at_the_end(step, *, lr, min_lr, warmup, total):
    """The rate falls to 0, and is min_lr from the end on."""
    if step >= total:
        return min_lr
    return learning_rate(step, lr=lr, min_lr=0.0, warmup=warmup, total=total)


_COSINE = "; (1 + cos(pi * done)) / 2 is meant, from 1 to 0"
SCHEDULE = replace(PROGRAMS["learning_rate"], variants=[
    *PROGRAMS["learning_rate"].variants,
    ("warmup-from-0", _rate(warm=lambda s, lr, low, w: lr * s / (w + 1)), "warm-up is off by one: "
     "step / (warmup + 1) gives 0 in the first step"),
    ("warmup-from-least", _rate(warm=lambda s, lr, low, w: low + (lr - low) * (s + 1) / (w + 1)),
     "warm-up starts from min_lr: it climbs from near 0"),
    ("warmup-from-least", _rate(warm=lambda s, lr, low, w: low + (lr - low) * (s + 1) / w),
     "warm-up starts from min_lr, and reaches lr a step early: it climbs from near 0"),
    ("warmup-missing", _rate(warm=lambda s, lr, low, w: lr), "there is no warm-up: the rate is lr "
     "from the first step"),
    ("warmup-missing", _rate(warm=lambda s, lr, low, w: low), "the rate is min_lr all through the "
     "warm-up: it is to climb"),
    ("cosine-from-step-0", _rate(done=lambda s, w, t: s / (t - w)), "done begins at step 0 and "
     "goes beyond 1: it is 0 at the end of warm-up"),
    ("decay-a-step-early", _rate(done=lambda s, w, t: (s + 1 - w) / (t - w)), "the decay is one "
     "step early: at step warmup done is 0, and the rate is lr"),
    ("decay-a-step-early", _rate(done=lambda s, w, t: (s - w) / (t - w - 1)), "the decay is one "
     "step too short: done is 1 at step total"),
    ("decay-a-step-late", _rate(done=lambda s, w, t: (s - 1 - w) / (t - w)), "the decay is one "
     "step late: at step warmup done is 0"),
    ("decay-a-step-late", _rate(done=lambda s, w, t: (s - w) / (t - w + 1)), "the decay is one "
     "step too long: done is 1 at step total"),
    ("cosine-rises", _rate(height=lambda d: (1 - math.cos(math.pi * d)) / 2), "the cosine rises "
     "from min_lr to lr: 1 + cos is meant, not 1 - cos"),
    ("not-a-half-cosine", _rate(height=lambda d: 1 + math.cos(math.pi * d)), "the cosine is not "
     "halved: 1 + cos goes from 2 to 0" + _COSINE),
    ("not-a-half-cosine", _rate(height=lambda d: math.cos(math.pi * d)), "the 1 is missing: cos "
     "goes from 1 to -1" + _COSINE),
    ("not-a-half-cosine", _rate(height=lambda d: math.cos(math.pi * d / 2)), "this is a quarter of "
     "a turn" + _COSINE),
    ("not-a-half-cosine", _rate(height=lambda d: 1 - math.sin(math.pi * d / 2)), "this is a sine"
     + _COSINE),
    ("not-a-half-cosine", _rate(height=lambda d: (1 + math.cos(180 * d)) / 2), "the angle is in "
     "degrees: cos takes radians, and half a turn is pi"),
    ("not-a-half-cosine", _rate(height=lambda d: (1 + math.cos(d)) / 2), "pi is missing: half a "
     "turn is pi" + _COSINE),
    ("least-forgotten", _rate(end=lambda lr, low: 0.0), "after the last step the rate is 0: it "
     "stays at min_lr"),
    ("least-forgotten", _no_least_at_the_end, "min_lr is forgotten in the cosine: it falls to 0"),
    ("no-end", _rate(end=lambda lr, low: lr), "after the last step the rate is lr: it stays at "
     "min_lr"),
])


def _a_dict(mine):
    given = {"a": np.ones((2, 3)), "b": np.ones(4)}
    out = mine.clip(given, max_norm=1.0)
    return out is None or isinstance(out, dict) or f"It gave a {type(out).__name__}."


def _scaled(mine):
    """By what each array of a gradient of norm 5 was multiplied, where no known mistake fits."""
    given = {"a": np.array([[2.0, 2.0], [-2.0, 2.0]]), "b": np.array([3.0])}
    out = mine.clip(copy.deepcopy(given), max_norm=1.0)
    if not isinstance(out, dict):
        return None
    a, b = ((np.asarray(out[name]) / g).ravel() for name, g in given.items())
    if abs(a - a[0]).max() > 1e-9:
        return "the elements of one array are scaled differently: one factor for all is meant"
    return (f"a gradient of norm 5, clipped to 1, has its two arrays multiplied by {a[0]:.3g} and "
            f"{b[0]:.3g}; expected 0.2 for both")


def _zeros(mine):
    zero = {"a": np.zeros((2, 3)), "b": np.zeros(4)}
    try:
        out = mine.clip(zero, max_norm=1.0) or zero
    except ZeroDivisionError:
        out = {"a": np.array(np.nan)}
    return not any(np.isnan(g).any() for g in out.values()) or (
        "It divides by the norm, which is 0 here.")


def grade(mine, g):
    """The clip, the order of a step, and the rate of every step."""
    g.probe("not-a-dict", "clip gives a dict of arrays by name", lambda: _a_dict(mine))
    if diagnose_value(CLIP, mine.clip).kinds == ["unexplained"] and (found := _scaled(mine)):
        g.fail("wrong-factor", f"clip: {found}")
    else:
        g.values(CLIP, mine.clip)
    if not g.findings:      # descend may use clip
        g.probe("zero-divided-by-zero", "a gradient of zeros stays one of zeros",
                lambda: _zeros(mine))
        g.values(DESCEND, mine.descend)
    g.values(SCHEDULE, mine.learning_rate)


def after():
    """What clipping by tensor does to the direction of a step, measured."""
    rng = np.random.default_rng(0)
    grads = {"small": 0.1 * rng.standard_normal(50), "large": 10 * rng.standard_normal(50)}
    flat = np.concatenate([*grads.values()])

    def angle(clipped):
        other = np.concatenate([*clipped.values()])
        cosine = flat @ other / np.linalg.norm(flat) / np.linalg.norm(other)
        return np.degrees(np.arccos(min(cosine, 1.0)))

    each_alone = {name: clip({name: a}, max_norm=0.5)[name] for name, a in grads.items()}
    return ("Clipping changes how far a step goes, never where it goes. For two arrays whose "
            f"gradients differ a hundredfold, one common factor turns the step by "
            f"{angle(clip(grads, max_norm=0.5)):.0f} degrees, and a factor for each array by "
            f"{angle(each_alone):.0f}. That is why the norm is taken over everything.")
