"""The KV cache

difficulty: 3/5   importance: 4/5   about 30 minutes (estimated)

STORY

A model that writes a text adds one token at a time. Done plainly, every step
computes the keys and values of all tokens before it once more, though they
cannot have changed: in a causal model no token sees what comes after it. So
one keeps them. The cache holds the keys and values of everything read so far;
a step computes those of the new tokens only, puts them after the old ones,
and lets the new queries attend to all of them.

There is one rule to check it by: with the cache, every output is what it
would be without. Cut the ids into pieces as you like, the outputs laid end to
end are those of one long call. The first piece is usually the prompt, many
tokens at once, and after that they come one by one; but two at a time is
allowed, and is where a careless mask shows.

Three things depend on how much is in the cache already: where the new tokens
stand (their rows of the position table), where new keys and values go, and
which keys a query may see.

MATHEMATICS

For S new tokens after `old` cached ones, n = 0 ... S - 1:

    x_n      = wte[ids_n] + wpe[position of token n]
    q_n, k_n, v_n = x_n @ q, x_n @ k, x_n @ v
    out_n    = sum over j of softmax(q_n . k_j / sqrt(D))_j * v_j,
               over the positions j that token n may see

This is one head without layers around it; in GPT-2 each layer and head has
such a cache.

SHAPES

    ids     (S,)      the new token ids
    out     (S, D)
    p       a dict: wte (V, C), wpe (P, C), and q, k, v, each (C, D)
    cache   whatever you like; None at the beginning of a text
"""

import math

import numpy as np

from npgpt.layers.softmax import softmax_forward
from npgpt.learn import NotBegun


def step(ids, cache, p):
    """(out, cache): the new ids attend to themselves and all before."""
    # one step with the cache
    # ---- your code: begins here ----
    old = 0 if cache is None else len(cache[0])
    new = len(ids)
    x = p["wte"][ids] + p["wpe"][old:old + new]
    q, k, v = x @ p["q"], x @ p["k"], x @ p["v"]
    if cache is not None:
        k = np.concatenate([cache[0], k])
        v = np.concatenate([cache[1], v])
    scores = q @ k.T / math.sqrt(q.shape[-1])
    visible = np.tri(new, old + new, old, dtype=bool)
    weights, _ = softmax_forward(np.where(visible, scores, -np.inf))
    return weights @ v, (k, v)
    # ---- your code: ends here ----


def tables(rng):
    """Given: small random tables and matrices to try a step on."""
    shapes = {"wte": (11, 8), "wpe": (300, 8),
              "q": (8, 4), "k": (8, 4), "v": (8, 4)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    p, ids = tables(rng), rng.integers(0, 11, 10)
    whole, _ = step(ids, None, p)
    print("how far the outputs are from those of one long call, by pieces")
    for sizes in ([10], [6, 1, 1, 1, 1], [1] * 10, [3, 4, 3]):
        cache, outs, start = None, [], 0
        for size in sizes:
            out, cache = step(ids[start:start + size], cache, p)
            outs.append(out)
            start += size
        off = np.abs(np.concatenate(outs) - whole).max(axis=1)
        print(f"  {str(sizes):32} {off.max():.1e}")
    print("\nkeys and values computed to write T tokens, one at a time")
    for length in (10, 100, 1000):
        without = length * (length + 1) // 2
        print(f"  T = {length:5}   without {without:7}   with {length:5}")
