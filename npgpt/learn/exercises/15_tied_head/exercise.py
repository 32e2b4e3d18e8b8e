"""The tied head: one table, two uses

difficulty: 3/5   importance: 4/5   about 30 minutes (estimated)

STORY

At its beginning GPT-2 turns ids into rows of a table, wte. At its end it has
to turn a vector of C channels back into one score (logit) for every token of
the vocabulary. It does so by the same table: the score of a token is the dot
product of the vector with that token's row. To say "cat", the model points in
the direction in which it also reads "cat". That is called *weight tying*, and
it saves a second table as large as the first.

For the gradient it means this: wte is one parameter with two uses, so two
gradients arrive at it, and they add. The two look very different. The
output's part fills all rows: every token had a score. The lookup's part fills
only the rows of the tokens that were read. Whoever writes the second over the
first loses the first, and a check of shapes will not notice.

              .---------------------- wte ----------------------.
       lookup |                                                 | scores
    ids --> x = wte[ids] --> h = tanh(x @ weight) --> logits = h @ wte.T

To keep the middle small, the "model" between the two ends is one matrix and a
tanh.

MATHEMATICS

    unembedding   logits = h @ wte.T
    tied model    x = wte[ids]     h = tanh(x @ weight)     logits = h @ wte.T
                  dwte = (from the scores) + (from the lookup)
                  d tanh(u) / du = 1 - tanh(u)^2

SHAPES

    ids     (B, T) integers below V     wte             (V, C)
    x, h    (B, T, C)                   weight          (C, C)
                                        logits, dout    (B, T, V)

dx means dLoss/dx, and has the shape of x. Return one gradient for
each array, in order, and None for ids. Use the package's lookup:

    token_embedding_forward(ids, wte)    -> (x, cache)
    token_embedding_backward(dx, cache)  -> (None, dwte)
"""

import numpy as np

from npgpt.layers.embedding import (
    token_embedding_backward,
    token_embedding_forward,
)
from npgpt.learn import NotBegun


def unembedding_forward(x, wte):
    """The score of every token, (B, T, V). Returns (out, cache)."""
    # the scores
    # ---- your code: begins here ----
    return x @ wte.T, (x, wte)
    # ---- your code: ends here ----


def unembedding_backward(dout, cache):
    """Returns (dx, dwte), from dout (B, T, V)."""
    # the gradient of the scores
    # ---- your code: begins here ----
    x, wte = cache
    dx = dout @ wte
    dwte = np.einsum("btv,btc->vc", dout, x)
    return dx, dwte
    # ---- your code: ends here ----


def tied_forward(ids, wte, weight):
    """Logits of ids, with wte at both ends. Returns (logits, cache)."""
    # the model with one table at both ends
    # ---- your code: begins here ----
    x, lookup_cache = token_embedding_forward(ids, wte)
    hidden = np.tanh(x @ weight)
    logits, scores_cache = unembedding_forward(hidden, wte)
    return logits, (x, hidden, weight, lookup_cache, scores_cache)
    # ---- your code: ends here ----


def tied_backward(dout, cache):
    """Returns (None, dwte, dweight)."""
    # the gradient of the table and of the matrix
    # ---- your code: begins here ----
    x, hidden, weight, lookup_cache, scores_cache = cache
    dhidden, from_scores = unembedding_backward(dout, scores_cache)
    dinner = dhidden * (1 - hidden**2)
    dweight = np.einsum("bti,bto->io", x, dinner)
    dx = dinner @ weight.T
    _, from_lookup = token_embedding_backward(dx, lookup_cache)
    dwte = from_scores + from_lookup
    return None, dwte, dweight
    # ---- your code: ends here ----


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    v, c = 12, 8
    ids = np.array([[3, 1, 4, 1, 5, 9]])
    wte = rng.standard_normal((v, c))
    weight = rng.standard_normal((c, c)) / c**0.5
    logits, cache = tied_forward(ids, wte, weight)
    dout = rng.standard_normal(logits.shape)
    _, dwte, _ = tied_backward(dout, cache)
    # the same model, untied: the scores read a copy of the table
    x, lookup = token_embedding_forward(ids, wte)
    _, from_scores = unembedding_backward(dout, (np.tanh(x @ weight), wte))
    print(f"ids {ids[0]}, a table of {v} rows\n")
    print("row   whole gradient   from the scores   from the lookup")
    for row in range(v):
        parts = dwte[row], from_scores[row], dwte[row] - from_scores[row]
        whole, scores, lookup = (np.linalg.norm(part) for part in parts)
        times = np.sum(ids == row)
        print(f"{row:3}   {whole:14.3f}   {scores:15.3f}   {lookup:15.3f}"
              + (f"   read {times}x" if times else ""))
