"""Clipping and the learning-rate schedule

difficulty: 2/5   importance: 4/5   about 25 minutes (estimated)

STORY

A training run is a long walk on a surface with cliffs. Most batches give a
gradient of about the same length; now and then one batch gives a gradient
that is many times as long, and a single step along it can undo much of what
was learnt. Clipping limits the damage. It looks at all gradients of the model
as one long vector; if that vector is longer than `max_norm`, all of it is
scaled down, so that its length is `max_norm` and its direction is what it
was. If it is shorter, nothing happens.

The order matters as much as the formula. Clipping acts on the gradient that
the step will use: after all micro-batches of the step are averaged, and
before the parameters move. It happens once in a step.

The second half is the learning rate, which is not one number. In the first
steps Adam's moments are estimates from very few gradients, so one starts
small and climbs: the warm-up. After that the rate falls along half a cosine,
to a small rate that is kept from then on.

MATHEMATICS

    norm   = sqrt(sum over all gradients, over all their elements, of g^2)
    factor = max_norm / norm if norm > max_norm, else 1
    clipped gradient = factor * gradient

    step < warmup            rate = lr * (step + 1) / (warmup + 1)
    warmup <= step < total   height = (1 + cos(pi * done)) / 2
                             rate = min_lr + (lr - min_lr) * height
    step >= total            rate = min_lr

`done` is the part of the way from warmup to total that is behind, 0 to 1.
Steps count from 0, so that the very first step already moves a little.

SHAPES

    params, grads   dicts of arrays, with the same names and any shapes
    micro_grads     a list of k dicts like grads, from k micro-batches of
                    equal size

grads["wte"] means dLoss/dwte, and has the shape of params["wte"].
"""

import math

import numpy as np

from npgpt.learn import NotBegun


def clip(grads, *, max_norm):
    """The gradients as a dict, scaled to at most this norm together."""
    # the clipped gradients
    # ---- your code: begins here ----
    square = sum(np.sum(g * g) for g in grads.values())
    norm = math.sqrt(square)
    factor = max_norm / norm if norm > max_norm else 1.0
    return {name: factor * g for name, g in grads.items()}
    # ---- your code: ends here ----


def descend(params, micro_grads, *, lr, max_norm):
    """The parameters after one step, as a dict: p - lr * g.

    g is the clipped mean of micro_grads; `clip` above may be used.
    """
    # one step with clipping
    # ---- your code: begins here ----
    k = len(micro_grads)
    mean = {name: sum(grads[name] for grads in micro_grads) / k
            for name in params}
    clipped = clip(mean, max_norm=max_norm)
    return {name: p - lr * clipped[name] for name, p in params.items()}
    # ---- your code: ends here ----


def learning_rate(step, *, lr, min_lr, warmup, total):
    """The learning rate of step number `step`, counted from 0, as a number."""
    # the rate of one step
    # ---- your code: begins here ----
    if step < warmup:
        return lr * (step + 1) / (warmup + 1)
    if step >= total:
        return min_lr
    done = (step - warmup) / (total - warmup)
    height = (1 + math.cos(math.pi * done)) / 2
    return min_lr + (lr - min_lr) * height
    # ---- your code: ends here ----


if __name__ == "__main__":
    gradients = {"wte": np.full((2, 3), 4.0), "bias": np.array([0.1, 0.2])}
    for name, g in clip(gradients, max_norm=1.0).items():
        print(f"{name:5} {g.ravel().round(3)}")
    print("\nthe rate, step by step: warm-up of 5 steps, a cosine down to 0.1")
    for n in range(0, 32, 2):
        rate = learning_rate(n, lr=1.0, min_lr=0.1, warmup=5, total=28)
        print(f"{n:4} {rate:.3f} {'#' * round(50 * rate)}")
