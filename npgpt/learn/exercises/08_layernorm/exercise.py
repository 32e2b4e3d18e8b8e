"""LayerNorm, in steps and in one expression

difficulty: 4/5   importance: 5/5   about 60 minutes (estimated)

STORY

Before every sub-layer GPT-2 brings each position back to a known size: over
its C channels the mean becomes 0 and the variance 1. Then a weight and a bias
for each channel, which are learnt, may stretch and shift it again.

The backward is the hardest of this course, for one reason: x takes part in
three places at once.

    x --+-------------------> [ - ] -- centred --+----------> [ * ] -- xhat
        |                       ^                |              ^
        +--> mean over C -------+                +--> var       |
                                                       |        |
                                                       +-> rstd-+

    out = xhat * weight + bias

Raise one x a little. Its own xhat rises. But the mean rises as well, and is
subtracted from all C channels; and the variance changes, and all C channels
are divided by its root. A gradient that knows only the first path looks
sensible and even trains, badly. Nothing fails; the loss only falls more slowly.

Here is the upper left part alone, worked out, so that you can do the rest.

    mean      = sum of x / C                      one number for each row
    centred_i = x_i - mean

Going back we are given dcentred, for all i. The mean is used C times, each
time with the slope -1. It collects, as in exercise 3:

    dmean = -sum over i of dcentred_i

and x_i gets one part from its own centred_i, with the slope 1, and one from
the mean, with the slope 1/C:

    dx_i  = dcentred_i + dmean / C      that is  dcentred - mean(dcentred)

Now the variance branch, in the same manner: centred is used in two places, so
dcentred has two parts, and both must be there before you use it. Write the
steps from the bottom of the forward to its top. For each line ask: what did
it use, with which slope, and was a (..., 1) stretched over the C channels?

    mean    = x.mean                          (..., 1)
    centred = x - mean                        (..., C)
    var     = (centred^2).mean                (..., 1)   divided by C, not C - 1
    rstd    = 1 / sqrt(var + eps)             (..., 1)   eps inside the root
    xhat    = centred * rstd                  (..., C)
    out     = xhat * weight + bias            (..., C)

When the steps are right, put them together on paper, starting from dxhat. Two
things make it collapse: the sum of centred over a row is 0, and centred *
rstd is xhat. You should get rstd times (dxhat minus two means). That second
function is the one that trains your GPT-2.

Bonus, for those who know batch normalisation: it is this very formula along
another axis. Your one expression with axis 0 for axis -1 is its gradient.

MATHEMATICS

    xhat = (x - mean) * rstd      rstd = 1 / sqrt(var + eps)
    out  = xhat * weight + bias
    dx, dweight, dbias: the steps, then one expression for dx

SHAPES

    x, dx, out, dout              (B, T, C)
    weight, bias, dweight, dbias  (C,)        used at every position
    mean, var, rstd               (..., 1)    one number for each position

dx means dLoss/dx, and has the shape of x.
"""

import numpy as np

from npgpt.learn import NotBegun


def layernorm_forward(x, weight, bias, *, eps=1e-5):
    """Give out, and what both backwards need."""
    # ---- your code: begins here ----
    mean = x.mean(axis=-1, keepdims=True)
    centred = x - mean
    var = (centred * centred).mean(axis=-1, keepdims=True)
    rstd = 1 / np.sqrt(var + eps)
    xhat = centred * rstd
    out = xhat * weight + bias
    return out, (centred, rstd, xhat, weight)
    # ---- your code: ends here ----


def layernorm_backward_staged(dout, cache):
    """Give (dx, dweight, dbias), one line for each line of the forward."""
    # the gradient of layernorm in steps
    # ---- your code: begins here ----
    centred, rstd, xhat, weight = cache
    C = centred.shape[-1]
    positions = tuple(range(dout.ndim - 1))

    dbias = dout.sum(axis=positions)
    dweight = (dout * xhat).sum(axis=positions)
    dxhat = dout * weight
    dcentred = dxhat * rstd
    drstd = (dxhat * centred).sum(axis=-1, keepdims=True)
    dvar = drstd * -0.5 * rstd**3
    dcentred += dvar * 2 * centred / C
    dmean = -dcentred.sum(axis=-1, keepdims=True)
    dx = dcentred + dmean / C
    return dx, dweight, dbias
    # ---- your code: ends here ----


def layernorm_backward(dout, cache):
    """Give (dx, dweight, dbias), with dx in one expression."""
    # the gradient of layernorm in one expression
    # ---- your code: begins here ----
    centred, rstd, xhat, weight = cache
    positions = tuple(range(dout.ndim - 1))
    dbias = dout.sum(axis=positions)
    dweight = (dout * xhat).sum(axis=positions)
    dxhat = dout * weight
    dx = rstd * (dxhat - dxhat.mean(-1, keepdims=True)
                 - xhat * (dxhat * xhat).mean(-1, keepdims=True))
    return dx, dweight, dbias
    # ---- your code: ends here ----


if __name__ == "__main__":
    x = np.array([[1.0, 2.0, 4.0, 9.0]])
    out, cache = layernorm_forward(x, np.ones(4), np.zeros(4))
    print("x   ", x[0])
    print("out ", np.round(out[0], 3))
    print("raise x[0, 0]: how does each out move? (a row of the Jacobian)")
    for channel in range(4):
        dout = np.zeros((1, 4))
        dout[0, channel] = 1
        dx, _, _ = layernorm_backward(dout, cache)
        print(f"    out[0, {channel}] by {dx[0, 0]:+.4f} for each 1 of x[0, 0]")
    dx, _, _ = layernorm_backward(np.array([[0.3, -1.0, 2.0, 0.5]]), cache)
    print(f"any dx sums to {abs(dx.sum()):.0e} over a row: "
          "a shift of all x changes nothing")
