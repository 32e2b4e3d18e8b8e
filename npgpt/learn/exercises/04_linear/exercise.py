"""Linear

difficulty: 2/5   importance: 5/5   about 25 minutes (estimated)

STORY

Nearly all the numbers of GPT-2, and nearly all of its time, are in this one
layer: every position of every sequence is multiplied by the same matrix, and
a bias is added.

There is a popular way to find its gradients: write down dout and weight, turn
and transpose until the shapes fit. It works until two axes have the same
length, and then it gives a wrong answer of the right shape. Do it the other
way round: derive with indices, and keep the shapes as a check.

    out[b, t, o] = sum over i of x[b, t, i] * weight[i, o]  +  bias[o]

Take one element of x. Where does it occur? x[b, t, i] is in out[b, t, o] for
every o, each time with the slope weight[i, o]. It collects from all of them:

    dx[b, t, i] = sum over o of dout[b, t, o] * weight[i, o]

A sum over the last axis of both: that is dout @ (something), and now the
shapes tell you what. Do the same for one element of weight, then for one of
bias: which elements of out is it in, and with which slope? Batch and time are
no more than "every position" here. What is used at every position collects
from every position, as in exercise 3.

MATHEMATICS

    out  = x @ weight + bias
    dx, dweight, dbias: derived as above

SHAPES

    x, dx              (B, T, I)
    weight, dweight    (I, O)
    bias, dbias        (O,)
    out, dout          (B, T, O)

dx means dLoss/dx, and has the shape of x.
"""

import numpy as np

from npgpt.learn import NotBegun


def linear_forward(x, weight, bias):
    """Give out (..., O), and what backward needs."""
    # ---- your code: begins here ----
    out = x @ weight + bias
    return out, (x, weight)
    # ---- your code: ends here ----


def linear_backward(dout, cache):
    """Give (dx, dweight, dbias)."""
    # ---- your code: begins here ----
    x, weight = cache
    dx = dout @ weight.T
    x_rows = x.reshape(-1, x.shape[-1])
    dout_rows = dout.reshape(-1, dout.shape[-1])
    dweight = x_rows.T @ dout_rows
    dbias = dout_rows.sum(axis=0)
    return dx, dweight, dbias
    # ---- your code: ends here ----


if __name__ == "__main__":
    # find the matrix that made these numbers, by nothing but its gradient
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 8, 3))
    hidden_weight = rng.standard_normal((3, 2))
    hidden_bias = rng.standard_normal(2)
    wanted = x @ hidden_weight + hidden_bias
    weight, bias = np.zeros((3, 2)), np.zeros(2)
    for step in range(101):
        out, cache = linear_forward(x, weight, bias)
        gap = out - wanted
        if step % 20 == 0:
            print(f"step {step:3}   mean squared error {np.mean(gap**2):.2e}")
        dx, dweight, dbias = linear_backward(2 * gap / gap.size, cache)
        weight, bias = weight - 0.5 * dweight, bias - 0.5 * dbias
    print(f"found {np.round(weight.ravel(), 3)}")
    print(f"meant {np.round(hidden_weight.ravel(), 3)}")
