"""Softmax: from scores to probabilities, and back

difficulty: 2/5  importance: 5/5  about 20 minutes (estimated)

Attention asks of every token: how much do I look at each of the others? The answers begin as
scores, any real numbers, and softmax turns each row of them into positive weights that sum to 1:

    out_i = exp(x_i) / sum_j exp(x_j)

exp of a large score overflows: exp(1000) is inf, and inf / inf is nan. What can be subtracted from
all scores of a row without changing out? Whatever it is, it cancels; choose it so that no exp
overflows.

Backward. dx is short for dLoss/dx and has x's shape; dout is dLoss/dout. x_i reaches the loss by
two ways: by its own out_i, and by the sum in the denominator, which every out_j of the row divides
by. Differentiating gives

    d out_j / d x_i = out_j * ((i == j) - out_i)

and dx_i is the sum over j of dout_j times that. Work the sum out on paper: what is left needs no
loop, and no N x N matrix.

Shapes    x, out, dout, dx (..., N); each row along the last axis is normalised by itself
"""

import numpy as np

from npgpt.learn import NotBegun


def softmax_forward(x):
    """Give out (..., N) and a cache, whatever your backward needs."""
    # ---- your code: begins here ----
    shifted = x - x.real.max(axis=-1, keepdims=True)
    exps = np.exp(shifted)
    out = exps / exps.sum(axis=-1, keepdims=True)
    cache = out
    # ---- your code: ends here ----
    return out, cache


def softmax_backward(dout, cache):
    """Give (dx,) from dout: a tuple with a gradient for each input."""
    # ---- your code: begins here ----
    out = cache
    through_sum = (dout * out).sum(axis=-1, keepdims=True)
    dx = out * (dout - through_sum)
    # ---- your code: ends here ----
    return (dx,)


if __name__ == "__main__":
    scores = np.array([[1.0, 2.0, 3.0], [1000.0, 1000.0, 1001.0]])
    weights, cache = softmax_forward(scores)
    print("weights of two rows:")
    print(weights.round(4))
    print("dx for dout = (1, 0, 0) in both:")
    print(softmax_backward(np.array([[1.0, 0.0, 0.0]] * 2), cache)[0].round(4))
