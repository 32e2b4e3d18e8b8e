"""How clipping and the schedule are graded: every variant that people write is replayed."""

import copy

import numpy as np

from npgpt.doctor import Program
from npgpt.doctor.values.programs import clip


def right(params, micro_grads, *, lr, max_norm):
    """One step along the clipped mean of the micro-batches' gradients."""
    return _moved(params, clip(_mean(micro_grads), max_norm=max_norm), lr)


def _mean(micro_grads):
    return {name: sum(g[name] for g in micro_grads) / len(micro_grads) for name in micro_grads[0]}


def _moved(params, grads, lr):
    return {name: p - lr * grads[name] for name, p in params.items()}


def each(params, micro_grads, *, lr, max_norm):
    """Clipping at every micro-batch."""
    return _moved(params, _mean([clip(g, max_norm=max_norm) for g in micro_grads]), lr)


def not_clipped(params, micro_grads, *, lr, max_norm):
    """Clipping that comes after the step, or not at all."""
    return _moved(params, _mean(micro_grads), lr)


def before_mean(params, micro_grads, *, lr, max_norm):
    """Clipping of the sum, which is then divided."""
    k = len(micro_grads)
    total = {name: k * g for name, g in _mean(micro_grads).items()}
    return _moved(params, {n: g / k for n, g in clip(total, max_norm=max_norm).items()}, lr)


def sum_for_mean(params, micro_grads, *, lr, max_norm):
    """Clipping of the sum, never divided."""
    k = len(micro_grads)
    total = {name: k * g for name, g in _mean(micro_grads).items()}
    return _moved(params, clip(total, max_norm=max_norm), lr)


def last_only(params, micro_grads, *, lr, max_norm):
    """The last micro-batch alone."""
    return _moved(params, clip(micro_grads[-1], max_norm=max_norm), lr)


def each_added_up(params, micro_grads, *, lr, max_norm):
    """Clipping of what has been added up so far, again at every micro-batch."""
    so_far = {name: 0.0 * g for name, g in micro_grads[0].items()}
    for grads in micro_grads:
        so_far = clip({name: a + grads[name] / len(micro_grads) for name, a in so_far.items()},
                      max_norm=max_norm)
    return _moved(params, so_far, lr)


def one_step_each(params, micro_grads, *, lr, max_norm):
    """A step for each micro-batch."""
    for grads in micro_grads:
        params = _moved(params, clip(grads, max_norm=max_norm), lr)
    return params


def length_with_lr(params, micro_grads, *, lr, max_norm):
    """Clipping of lr times the gradient."""
    return _moved(params, clip({n: lr * g for n, g in _mean(micro_grads).items()},
                               max_norm=max_norm), 1.0)


def params_clipped(params, micro_grads, *, lr, max_norm):
    """Clipping of the parameters."""
    return clip(not_clipped(params, micro_grads, lr=lr, max_norm=max_norm), max_norm=max_norm)


def ascent(params, micro_grads, *, lr, max_norm):
    """A step uphill."""
    return right(params, micro_grads, lr=-lr, max_norm=max_norm)


def no_lr(params, micro_grads, *, lr, max_norm):
    """A step without the learning rate."""
    return right(params, micro_grads, lr=1.0, max_norm=max_norm)


def _run(function, inputs, settings):
    """The new parameters; those given, where the function writes there and returns no dict."""
    params, micro_grads = copy.deepcopy(inputs)
    out = function(params, micro_grads, **settings)
    return out if isinstance(out, dict) else params


def _draw(rng, given, n):
    shapes = {"a": (2, 3 + n), "b": (4,), "c": (5, 2)}
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    micro = [{name: size * rng.standard_normal(shape) for name, shape in shapes.items()}
             for size in [(3.0, 0.2, 1.0), (0.1, 0.2), (0.5, 4.0, 2.0, 1.0)][n % 3]]
    return (params, micro), {"lr": 0.3, "max_norm": 0.7}


DESCEND = Program("descend", right, [
    ("clipped-each-micro-batch", each, "every micro-batch is clipped: average the gradients "
     "first, and clip once, what the step will use"),
    ("clipped-after-step", not_clipped, "the step is taken with the gradient as it was: clipping "
     "must come before the parameters move, and the step must use what clip returns"),
    ("clipped-before-mean", before_mean, "the sum is clipped and then divided by k: the mean is "
     "what is clipped"),
    ("sum-for-mean", sum_for_mean, "the gradients of the micro-batches are added, not averaged"),
    ("zeroed-each-time", last_only, "only the last micro-batch counts: the others are to be added "
     "up with it"),
    ("clipped-each-micro-batch", each_added_up, "the sum is clipped again at every micro-batch: "
     "average the gradients first, and clip once"),
    ("step-per-micro-batch", one_step_each, "the parameters move at every micro-batch: k of them "
     "make one step"),
    ("clipped-with-lr", length_with_lr, "lr times the gradient is clipped: clip the gradient "
     "itself, then multiply by lr"),
    ("parameters-clipped", params_clipped, "the parameters are clipped: it is the gradient that "
     "is too long"),
    ("ascent", ascent, "the sign of the step is wrong: it climbs"),
    ("lr-forgotten", no_lr, "the gradient is not multiplied by lr"),
], draw=_draw, run=_run)


def _largest(grads, *, max_norm):
    norm = max(np.sqrt((g * g).sum()) for g in grads.values())
    return {name: g * min(1.0, max_norm / norm) for name, g in grads.items()}


def _direction(mine):
    """Whether a long gradient keeps its direction, and a zero one is no 0 / 0."""
    zero = {"a": np.zeros((2, 3)), "b": np.zeros(4)}
    out = mine.clip(copy.deepcopy(zero), max_norm=1.0)
    out = out if isinstance(out, dict) else zero
    return all((out[name] == 0).all() for name in zero) or (
        "A gradient of zeros becomes nan: 0 / 0. Look at when you divide by the norm.")


def grade(mine, g):
    """The clip, the order of a step, and the rate of every step."""
    from dataclasses import replace

    from npgpt.doctor.values.catalogue import PROGRAMS

    known = PROGRAMS["clip"]
    g.values(replace(known, variants=[*known.variants, (
        "largest-norm-for-norm", _largest, "the norm is that of the largest array alone: the "
        "squares of all of them are to be added")]), mine.clip)
    g.probe("zero-divided-by-zero", "a gradient of zeros stays one of zeros",
            lambda: _direction(mine))
    g.values(DESCEND, mine.descend)
    g.values("learning_rate", mine.learning_rate)


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
