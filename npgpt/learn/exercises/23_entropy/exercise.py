"""Attention entropy, head by head

difficulty: 2/5   importance: 3/5   about 20 minutes (estimated)

STORY

Each row of attention weights is a probability distribution: how much one
token looks at each token before it. Its entropy says how widely. A row with
all its weight on one token has entropy 0; a row that looks at n tokens
equally has ln n, the most there can be. Averaged over a text, this is one
number a head, and reading it shows much about a model: heads near 0 have
picked one thing to look at (often the first token, or the one before); heads
near the top look at everything, which may be useful averaging, or mean that
they have learnt nothing yet.

Two things need care. A hidden token has the weight 0, and 0 * ln 0 is not a
number for a computer, though its limit is 0. Adding 1e-8 inside the logarithm
avoids the NaN and shifts every entropy.

And the most there can be is not ln T. Under a causal mask the token at
position i (from 1) sees i tokens. The first sees only itself, so its entropy
is always 0. The highest mean is therefore

    bound(T) = (ln 1 + ln 2 + ... + ln T) / T = ln(T!) / T

An entropy as a fraction of this bound can be compared between texts of other
lengths, and 1 means "everything equally" as it should.

MATHEMATICS

    E_row  = - sum over keys j of  w_j ln w_j        in nats; 0 ln 0 = 0
    E_head = mean of E_row over all rows and over the batch
    fraction = E_head / bound(T)

SHAPES

    weights                 (B, H, T, T)    batch, heads, queries, keys;
                                            each row along the keys sums to 1
    entropies, fractions    (H,)
"""

import math

import numpy as np

from npgpt.layers.softmax import softmax_forward
from npgpt.learn import NotBegun


def attention_entropy(weights):
    """The entropy of each head (H,) in nats, a mean over batch and queries."""
    # the entropy of each head
    # ---- your code: begins here ----
    logs = np.log(np.where(weights > 0, weights, 1.0))
    rows = -(weights * logs).sum(axis=-1)
    return rows.mean(axis=(0, 2))
    # ---- your code: ends here ----


def causal_bound(length):
    """The highest mean entropy of causal attention of this length, in nats."""
    # the causal bound
    # ---- your code: begins here ----
    return sum(math.log(n) for n in range(1, length + 1)) / length
    # ---- your code: ends here ----


def entropy_fraction(weights):
    """Each head's entropy (H,) as a fraction of its bound; T is at least 2.

    The two functions above may be used.
    """
    # the entropy as a fraction of its bound
    # ---- your code: begins here ----
    return attention_entropy(weights) / causal_bound(weights.shape[-1])
    # ---- your code: ends here ----


def heads(length, rng):
    """Given: weights (1, 5, T, T) of five common heads, and their names."""
    causal = np.tri(length, dtype=bool)
    before = np.arange(length)[:, None] - np.arange(length)
    scores = {
        "looks at everything": np.zeros((length, length)),
        "at the first token": np.eye(1, length).repeat(length, axis=0) * 30.0,
        "at the token before": np.where(before == 1, 30.0, 0.0),
        "at what is near": -0.5 * before,
        "at random": 2.0 * rng.standard_normal((length, length)),
    }
    masked = np.stack([np.where(causal, s, -np.inf) for s in scores.values()])
    return softmax_forward(masked)[0][None], list(scores)


if __name__ == "__main__":
    weights, names = heads(32, np.random.default_rng(0))
    print(f"32 tokens: the bound is {causal_bound(32):.3f} nats, "
          f"and ln 32 is {math.log(32):.3f}\n")
    entropies, fractions = attention_entropy(weights), entropy_fraction(weights)
    for name, nats, part in zip(names, entropies, fractions):
        bar = "#" * round(40 * part)
        print(f"{name:20} {nats:6.3f} nats {part:5.0%} {bar}")
