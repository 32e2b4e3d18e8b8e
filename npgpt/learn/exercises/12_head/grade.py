"""How one head is graded."""

import dataclasses

import numpy as np

from npgpt.doctor.values.attention import attention_weights
from npgpt.doctor.values.catalogue import PROGRAMS


def draw(rng, given, n):
    """q, k, v (B, T, D) of sizes that all differ; in one case with large scores."""
    b, t, d = 2 + n % 2, 4 + n % 3, 6 + n % 4
    q, k, v = rng.standard_normal((3, b, t + (t == d), d))
    return (q * (60 if n == 3 else 1), k, v), {}


def first_weights(q, k, v):
    """The weights of the first sequence, for all."""
    return attention_weights(q[:1], k[:1]) @ v


HEAD = dataclasses.replace(PROGRAMS["causal_attention"], draw=draw, variants=[
    *PROGRAMS["causal_attention"].variants,
    ("batch-dropped", first_weights,
     "every sequence gets the weights of the first: each has its own"),
])


def grade(mine, g):
    """Values, causality, an overflow, the gradients; batch 1 and one position."""
    q, k, v = g.normal(2, 4, 6), g.normal(2, 4, 6), g.normal(2, 4, 6)
    g.values(HEAD, mine.causal_attention_forward, q, k, v, axes="B T D")
    g.probe("not-finite", "scores near 1000 give finite outputs",
            lambda: np.isfinite(mine.causal_attention_forward(q + 20, k + 20, v)[0]).all())
    g.gradient(mine.causal_attention_forward, mine.causal_attention_backward, q, k, v)
    g.gradient(mine.causal_attention_forward, mine.causal_attention_backward,
               *(a[:1, :1] for a in (q, k, v)))
    g.probe("sees-the-future", "a later position changes nothing at an earlier one",
            lambda: causal(mine.causal_attention_forward, q, k, v))


def causal(attend, q, k, v):
    """A sentence that names the first position which a later one changes; else True."""
    before = np.asarray(attend(q, k, v)[0])
    for t in range(1, q.shape[1]):
        changed = [a.copy() for a in (q, k, v)]
        for a in changed:
            a[:, t:] += 1.0
        moved = np.abs(np.asarray(attend(*changed)[0]) - before)[:, :t].max()
        if not moved < 1e-12:
            return f"Changing positions from {t} on moves the output before them by {moved:.1e}."
    return True


def after():
    """One thing worth knowing, with its numbers."""
    from npgpt.layers.softmax import softmax_backward, softmax_forward

    rng = np.random.default_rng(0)
    top, slope, sizes = {}, {}, (4, 64, 1024)
    for d in sizes:
        q, k = rng.standard_normal((2, 500, 32, d))
        scores = (q[:, -1:] @ k.swapaxes(-1, -2))       # of the last query with 32 keys
        for root in (1.0, d**0.5):
            weights, cache = softmax_forward(scores / root)
            (dscores,) = softmax_backward(rng.standard_normal(weights.shape), cache)
            top[d, root] = weights.max(axis=-1).mean()
            slope[d, root] = np.median(np.linalg.norm(dscores, axis=-1))
    largest = ", ".join(f"{top[d, 1.0]:.2f} at D = {d}" for d in sizes)
    return (f"Among 32 keys, random q and k give a largest weight of {largest} without the "
            f"division by sqrt(D); with it, {top[1024, 32.0]:.2f} whatever D is. Behind softmax, "
            f"half of the queries have a gradient above {slope[1024, 32.0]:.2f} with the "
            f"division, and below {slope[1024, 1.0]:.0e} without it (D = 1024): a hard choice has "
            "no slope, so it cannot be unlearnt.")
