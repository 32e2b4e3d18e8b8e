"""How dropout is graded."""

import dataclasses

import numpy as np

from npgpt.doctor.values import layers
from npgpt.doctor.values.catalogue import PROGRAMS


def by_fraction(x, kept, *, rate, rng=None, training=True):
    """Scaled by the fraction that happened to be kept."""
    seen = layers.dropout(x, kept, rate=rate, training=training)
    return seen | {"out": x * kept / kept.mean()} if training else seen


DROPOUT = dataclasses.replace(
    PROGRAMS["dropout"], variants=[
        *PROGRAMS["dropout"].variants,
        ("scaled-by-fraction", by_fraction,
         "what is kept is divided by the fraction that was kept this time; divide by 1 - rate, "
         "the probability to keep, so that each element has the right mean"),
    ])


def grade(mine, g):
    """Values with whatever was dropped, how it is drawn, and the gradient."""
    x = g.normal(7, 9, 40) + 3

    def drop(seed, rate=0.25):
        out = mine.dropout_forward(x, rate=rate, rng=np.random.default_rng(seed))
        return np.asarray(out[0] if isinstance(out, tuple) else out)

    g.probe("one-mask-for-all", "every element is drawn by itself", lambda: by_itself(drop(4) == 0))
    g.values(DROPOUT, mine.dropout_forward)
    g.probe("rng-ignored", "what is dropped comes from rng, so another rng drops other elements",
            lambda: (drop(1) != drop(2)).any())
    g.probe("rate-0", "at rate 0 nothing is dropped and nothing scaled",
            lambda: np.allclose(drop(5, rate=0.0), x, rtol=1e-12))
    small = g.normal(2, 3, 5)
    rng = np.random.default_rng(6)
    g.gradient(mine.dropout_forward, mine.dropout_backward, small, rate=0.4, rng=rng)

    def at_evaluation(x):
        return mine.dropout_forward(x, rate=0.4, rng=rng, training=False)

    g.gradient(at_evaluation, mine.dropout_backward, small)


def by_itself(dropped):
    """A sentence where all sequences, positions or channels drop alike; else True."""
    if dropped.ndim < 3 or not 0 < dropped.mean() < 1:
        return True     # the values say what is wrong
    for axis, what in enumerate(("sequence of the batch", "position", "channel")):
        if (dropped == dropped.take([0], axis=axis)).all():
            return f"Every {what} drops the same elements: draw as many numbers as x has."
    return True


def after():
    """One thing worth knowing, with its numbers."""
    from npgpt.layers.dropout import dropout_forward

    count, rate, rng = 24, 0.1, np.random.default_rng(0)
    x = np.ones((1000, 100))
    plain = scaled = x
    for _ in range(count):
        scaled = dropout_forward(scaled, rate=rate, rng=rng)[0]
        plain = dropout_forward(plain, rate=rate, rng=rng)[0] * (1 - rate)
    return (f"A number that goes through {count} dropouts of rate {rate} in a row (GPT-2 small "
            f"has that many in its branches) keeps {scaled.mean():.2f} of its size on average; "
            f"without the scaling it would keep {plain.mean():.2f} in training, and all of it at "
            "evaluation. Large models are mostly trained without dropout: they see most of their "
            "text once only.")
