"""Embeddings: a row for each token, a row for each position

difficulty: 3/5   importance: 5/5   about 30 minutes (estimated)

STORY

A model computes with numbers, and a token is only an id, such as 464 for
"The". So there is a table with one row of C numbers for every token of the
vocabulary, and the embedding of a token is its row. The table is learnt like
any weight. A second table has a row for every position and is added, since
attention alone could not tell "dog bites man" from "man bites dog".

Forward is one line of NumPy indexing. Backward is where people come to grief.
Take the text "the cat and the dog". The row of "the" was read twice, and both
readings influence the loss, so its gradient is the sum of two rows of dout.
Rows that were not read have gradient 0. In other words: reading is
`table[ids]`, a *gather*; backward adds each row of dout to the place that it
was read from, a *scatter*.

    ids      the   cat   and   the   dog          dtable["the"] = d0 + d3
    dout     d0    d1    d2    d3    d4           dtable["cat"] = d1 ...

The ids themselves have no gradient: there is no token 464.001. By convention
backward returns None for them.

For positions the same holds. Every sequence of the batch reads the row of
position 5, so that row's gradient is a sum over the batch.

MATHEMATICS

    token      out[b, t, :] = weight[ids[b, t], :]
               dweight[i, :] = sum of dout[b, t, :] over all (b, t)
                               with ids[b, t] == i
    position   out[b, t, :] = x[b, t, :] + weight[positions[t], :]
               dweight[p, :] = sum of dout[b, t, :] over all b, and all t
                               with positions[t] == p

SHAPES

    ids (B, T)         integers below V    token weight     (V, C)
    positions (T,)     integers below P    position weight  (P, C)
    x, out, dout       (B, T, C)

dx means dLoss/dx, and has the shape of x. Return one gradient for
each array, in order.
"""

import numpy as np

from npgpt.learn import NotBegun


def token_embedding_forward(ids, weight):
    """Give the row of every id, (B, T, C). Returns (out, cache)."""
    # the lookup of tokens
    # ---- your code: begins here ----
    return weight[ids], (ids, weight.shape)
    # ---- your code: ends here ----


def token_embedding_backward(dout, cache):
    """Returns (None, dweight): ids have no gradient."""
    # the gradient of the token table
    # ---- your code: begins here ----
    ids, shape = cache
    dweight = np.zeros(shape, dout.dtype)
    np.add.at(dweight, ids, dout)
    return None, dweight
    # ---- your code: ends here ----


def position_embedding_forward(x, weight, positions):
    """Add to every x the row of its position. Returns (out, cache)."""
    # the sum of x and its position's row
    # ---- your code: begins here ----
    return x + weight[positions], (positions, weight.shape)
    # ---- your code: ends here ----


def position_embedding_backward(dout, cache):
    """Returns (dx, dweight, None): positions have no gradient."""
    # the gradient of the position table
    # ---- your code: begins here ----
    positions, shape = cache
    dweight = np.zeros(shape, dout.dtype)
    np.add.at(dweight, positions, dout.sum(axis=0))
    return dout, dweight, None
    # ---- your code: ends here ----


if __name__ == "__main__":
    words = "the cat and the dog and the bird".split()
    vocabulary = list(dict.fromkeys(words))
    ids = np.array([[vocabulary.index(word) for word in words]])
    table = np.random.default_rng(0).standard_normal((len(vocabulary), 3))
    out, cache = token_embedding_forward(ids, table)
    _, dtable = token_embedding_backward(np.ones_like(out), cache)
    print(" ".join(words))
    print("With dout 1 everywhere, a row's gradient is how often it was read:")
    for word, row in zip(vocabulary, dtable):
        print(f"  {word:5} read {words.count(word)} times, gradient {row}")
