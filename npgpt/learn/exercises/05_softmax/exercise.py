"""Softmax: from scores to probabilities, and back

difficulty: 2/5   importance: 5/5   about 20 minutes (estimated)

STORY

Attention asks of every token: how much do I look at each of the others? The
answers begin as scores, which may be any numbers. Softmax turns each row of
them into positive weights that sum to 1.

exp of a large score overflows: exp(1000) is inf, and inf / inf is nan. So
subtract something first. What may be subtracted from every score of a row
without changing out? And which choice of it lets no exp overflow?

Then the way back. x_i reaches the loss on two paths: through its own out_i,
and through the sum in the denominator, by which every out_j of the row is
divided. If x_i rises, its own weight rises, and all the others fall:

    scores    1.0   2.0   3.0          raise the last one a little
    out       0.09  0.24  0.67
    change     -     -     +           the weights still sum to 1

Differentiate out_j for x_i (do it: once for i = j, once for the others) and
both cases fit one formula:

    d out_j / d x_i = out_j * ((i == j) - out_i)

That is a matrix, N x N for each row. But dx_i is only the sum over j of
dout_j times it. Work that sum out on paper: what is left needs no loop and
no matrix.

MATHEMATICS

    out_i = exp(x_i) / sum over j of exp(x_j)
    dx_i  = sum over j of dout_j * d out_j / d x_i

SHAPES

    x, out, dout, dx    (B, T, N), each row along the last axis by itself

dx means dLoss/dx, and has the shape of x. Where there is one gradient, in any
exercise, dx alone will do in place of (dx,); two or more are a tuple.
"""

import numpy as np

from npgpt.learn import NotBegun


def softmax_forward(x):
    """Give out, and a cache: whatever your backward needs."""
    # ---- your code: begins here ----
    shifted = x - x.max(axis=-1, keepdims=True)
    exps = np.exp(shifted)
    out = exps / exps.sum(axis=-1, keepdims=True)
    return out, out
    # ---- your code: ends here ----


def softmax_backward(dout, cache):
    """Give (dx,): a tuple with a gradient for each input."""
    # ---- your code: begins here ----
    out = cache
    through_sum = (dout * out).sum(axis=-1, keepdims=True)
    dx = out * (dout - through_sum)
    return (dx,)
    # ---- your code: ends here ----


if __name__ == "__main__":
    scores = np.array([[1.0, 2.0, 3.0], [1000.0, 1000.0, 1001.0]])
    weights, cache = softmax_forward(scores)
    print("weights of two rows:")
    print(weights.round(4))
    print("dx for dout = (1, 0, 0) in both:")
    print(softmax_backward(np.array([[1.0, 0.0, 0.0]] * 2), cache)[0].round(4))
