"""One causal head of attention

difficulty: 4/5   importance: 5/5   about 50 minutes (estimated)

STORY

Attention is the one place in GPT-2 where positions exchange information.
Every position t asks a question, its query q_t. Every position s offers a key
k_s, which says what it has, and a value v_s, which is what it hands over. The
score of t and s is the dot product q_t . k_s; softmax turns the scores of one
query into weights that sum to 1; and the output at t is the mean of the
values under those weights.

Two details decide whether it works. Scores are divided by sqrt(D): the dot
product of two random vectors of size D has a standard deviation of about
sqrt(D), and softmax of large numbers is almost a hard choice, whose gradient
is almost 0. And the model is to predict the next token, so a position may
look at itself and at what came before, never at what comes after:

                key s  0   1   2   3
        query t = 0    x   .   .   .       x: visible     .: hidden, score -inf
                t = 1    x   x   .   .
                t = 2    x   x   x   .      hidden *before* softmax, so that the
                t = 3    x   x   x   x      weights that are left sum to 1

Backward is the chain rule from the last line to the first. There are two
matmuls and one softmax, so you need nothing new: for A @ B = Y, dA = dY @ B.T
and dB = A.T @ dY. A hidden score never reached the output; its weight is 0,
and softmax's backward multiplies by the weight, so its gradient is 0 by
itself.

MATHEMATICS

    scores  = q @ k.T / sqrt(D)                      -inf where s > t
    weights = softmax(scores)                        along the keys
    out     = weights @ v
    softmax backward:
    dscores = weights * (dweights - sum over keys of dweights * weights)

SHAPES

    q, k, v, out       (B, T, D)    batch, time, size of the head
    scores, weights    (B, T, T)    queries along axis 1, keys along axis 2

dq means dLoss/dq, and has the shape of q. Transpose the last two axes only,
for example with k.swapaxes(-1, -2): on three axes k.T reverses all of them.
"""

import numpy as np

from npgpt.layers.softmax import softmax_backward, softmax_forward
from npgpt.learn import NotBegun


def causal_attention_forward(q, k, v):
    """Causal attention of q, k, v (B, T, D). Returns (out, cache)."""
    # the scores, the mask, the weights, and the mean of the values
    # ---- your code: begins here ----
    t, d = q.shape[-2:]
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(d)
    visible = np.tri(t, dtype=bool)
    scores = np.where(visible, scores, -np.inf)
    weights, softmax_cache = softmax_forward(scores)
    out = weights @ v
    return out, (q, k, v, weights, softmax_cache)
    # ---- your code: ends here ----


def causal_attention_backward(dout, cache):
    """Returns (dq, dk, dv)."""
    # the gradient of attention
    # ---- your code: begins here ----
    q, k, v, weights, softmax_cache = cache
    scale = 1 / np.sqrt(q.shape[-1])
    dv = weights.swapaxes(-1, -2) @ dout
    dweights = dout @ v.swapaxes(-1, -2)
    (dscores,) = softmax_backward(dweights, softmax_cache)
    dq = dscores @ k * scale
    dk = dscores.swapaxes(-1, -2) @ q * scale
    return dq, dk, dv
    # ---- your code: ends here ----


if __name__ == "__main__":
    letters = "abacaba"
    t = len(letters)
    q = k = 3.0 * np.eye(3)[["abc".index(letter) for letter in letters]][None]
    # with v the unit matrix, the output is the weights themselves
    out, cache = causal_attention_forward(q, k, np.eye(t)[None])
    print("Each letter asks for its like. Weights in percent:\n"
          "rows ask, columns answer\n")
    print("      " + "".join(f"{letter:>5}" for letter in letters))
    for letter, row in zip(letters, out[0]):
        cells = "".join(f"{100 * w:5.0f}" if w else "    ." for w in row)
        print(f"{letter:>5} {cells}")
    dq, dk, dv = causal_attention_backward(np.ones_like(out), cache)
    print(f"\ndout of ones reaches the values ({np.abs(dv).max():.2f}), not "
          f"the queries ({np.abs(dq).max():.0e}):\n"
          "the weights of a row sum to 1 whatever q is.")
