"""Dropout

difficulty: 2/5   importance: 3/5   about 20 minutes (estimated)

STORY

A network with many weights can learn its training text by heart. Dropout
makes that hard: at every training step each number is set to 0 with
probability `rate`, so that no channel can rely on one particular other
channel being there.

Two things need care. The first is size. If a tenth of all numbers becomes 0,
whatever sums them up gets about a tenth less in training than later, when
nothing is dropped. So what is kept is scaled up, by just as much as makes the
mean come out right again. Then evaluation needs no correction at all: it
passes x through, untouched.

The second is memory. The zeros are drawn at random, once, in forward.
Backward must use those very zeros: a number that was dropped had no influence
on the loss, and one that was kept had some. So forward saves what it drew;
backward draws nothing.

MATHEMATICS

    kept_i  is 1 with probability 1 - rate, and 0 with probability rate
    out_i   = x_i * kept_i * s     choose s so that the mean of out_i is x_i
            = x_i at evaluation
    dx_i    = dout_i * d out_i / d x_i

SHAPES

    x, out, dx, dout   any shape, all the same; each element is drawn
    rate               a number in [0, 1)
    rng                a NumPy generator; rng.random(shape) is in [0, 1)

dx means dLoss/dx, and has the shape of x. Here and in every
exercise forward returns (out, cache), and the cache is whatever you want to
find again in backward.
"""

import numpy as np

from npgpt.learn import NotBegun


def dropout_forward(x, *, rate, rng=None, training=True):
    """Zero each element with probability `rate`, scale up the rest.

    Returns (out, cache).
    """
    # the forward of dropout, in training and at evaluation
    # ---- your code: begins here ----
    if not training:
        return x, None
    kept = rng.random(x.shape) < 1.0 - rate
    mask = kept / (1.0 - rate)
    return x * mask, mask
    # ---- your code: ends here ----


def dropout_backward(dout, cache):
    """Returns (dx,)."""
    # the gradient of dropout
    # ---- your code: begins here ----
    mask = cache
    dx = dout if mask is None else dout * mask
    return (dx,)
    # ---- your code: ends here ----


if __name__ == "__main__":
    x = np.full((200, 300), 2.0)
    print("x is 2 everywhere. After dropout:")
    for rate in (0.1, 0.5, 0.9):
        out, cache = dropout_forward(x, rate=rate, rng=np.random.default_rng(0))
        (dx,) = dropout_backward(np.ones_like(x), cache)
        print(f"rate {rate}: {np.mean(out == 0):5.1%} are 0, the largest is "
              f"{out.max():5.2f}, the mean {out.mean():.3f}; "
              f"mean of dx {dx.mean():.3f}")
