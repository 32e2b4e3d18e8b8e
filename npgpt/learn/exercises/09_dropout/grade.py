"""How dropout is graded."""

import numpy as np


def grade(mine, g):
    """Values with whatever was dropped, how it is drawn, and the gradient."""
    x = g.normal(7, 9, 40) + 3

    def drop(seed, rate=0.25):
        return np.asarray(mine.dropout_forward(x, rate=rate, rng=np.random.default_rng(seed))[0])

    g.values("dropout", mine.dropout_forward)
    g.probe("rng-ignored", "what is dropped comes from rng, so another rng drops other elements",
            lambda: (drop(1) != drop(2)).any())
    g.probe("not-repeatable", "equal generators drop the same elements",
            lambda: np.array_equal(drop(3), drop(3)))
    g.probe("one-mask-for-all", "every element is drawn by itself", lambda: shared(drop(4) == 0))
    g.probe("rate-0", "at rate 0 nothing is dropped and nothing scaled",
            lambda: np.allclose(drop(5, rate=0.0), x, rtol=1e-12))
    small = g.normal(2, 3, 5)
    rng = np.random.default_rng(6)
    g.gradient(mine.dropout_forward, mine.dropout_backward, small, rate=0.4, rng=rng)
    g.gradient(lambda x: mine.dropout_forward(x, rate=0.4, rng=rng, training=False),
               mine.dropout_backward, small)


def shared(dropped):
    """A sentence where all sequences, positions or channels drop alike; else True."""
    for axis, what in enumerate(("sequence of the batch", "position", "channel")):
        if (dropped == dropped.take([0], axis=axis)).all():
            return f"Every {what} drops the same elements: draw as many numbers as x has."
    return True


def after():
    """One thing worth knowing, with its numbers."""
    from npgpt.layers.dropout import dropout_forward

    layers, rate, rng = 24, 0.1, np.random.default_rng(0)
    x = np.ones((1000, 100))
    plain = scaled = x
    for _ in range(layers):
        scaled = dropout_forward(scaled, rate=rate, rng=rng)[0]
        plain = dropout_forward(plain, rate=rate, rng=rng)[0] * (1 - rate)
    return (f"A number that goes through {layers} dropouts of rate {rate} in a row (GPT-2 small has "
            f"that many in its branches) keeps {scaled.mean():.2f} of its size on average; without "
            f"the scaling it would keep {plain.mean():.2f} in training, and all of it at "
            "evaluation. Large models are mostly trained without dropout: they see most of their "
            "text once only.")
