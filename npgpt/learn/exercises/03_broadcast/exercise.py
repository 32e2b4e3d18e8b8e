"""Broadcasting and its sum

difficulty: 3/5   importance: 5/5   about 30 minutes (estimated)

STORY

A bias of three numbers is added to a whole batch, and NumPy does not mind:
it uses the same three numbers again for each row. That is broadcasting, and
it is the place where most hand-written gradients go wrong for the first time.

    b   (3,)      b0      b1      b2          three numbers
                  |       |       |
                  +---+   +---+   +---+       each is used twice
                  |   |   |   |   |   |
    x   (2, 3)   x00  |  x01  |  x02  |
                     x10     x11     x12

    out (2, 3)   x00 + b0    x01 + b1    x02 + b2
                 x10 + b0    x11 + b1    x12 + b2

How does the loss move if b0 moves? It moves out[0, 0] and it moves out[1, 0],
and both move the loss. Contributions add up:

    db0 = dout[0, 0] + dout[1, 0]

What is copied on the way forward is summed on the way back. Nothing else is
going on in this exercise; all the rest is to find out along which axes. And
there is a check that costs nothing: db must have the shape of b.

NumPy puts two shapes side by side at their right ends. It stretches what is 1
and what is not there. Backward sums over exactly these axes:

    b             1   3   1         db    1   3   1
    out       2   5   3   4         dout  2   5   3   4
              ^   ^       ^         sum over axes 0, 1 and 3
              |   |       |
      not there   1       1         the axis that is not there goes away,
                                    an axis of length 1 stays, with length 1

Both operands may be stretched at once, (3, 1) with (1, 4) for instance, so
both gradients need it. A product differs from a sum in one point: before it
is summed, the gradient is multiplied by the other operand, as in exercise 2.

MATHEMATICS

    out = x + b     db = dout summed to b's shape         dx alike
    out = x * w     dw = dout * x summed to w's shape     dx alike

SHAPES

    x, b, w     any two shapes that broadcast, such as (2, 5, 3) and (3,),
                (5, 3) and (2, 1, 3), (3, 1) and (1, 4), (2, 3) and ()
    out, dout   the shape of both together
    dx, db, dw  the shapes of x, b and w

dx means dLoss/dx, and has the shape of x.
"""

import numpy as np

from npgpt.learn import NotBegun


def sum_to(grad, shape):
    """Sum grad over every axis that was stretched: an array of `shape`."""
    # ---- your code: begins here ----
    new = grad.ndim - len(shape)
    grad = grad.sum(axis=tuple(range(new)))
    stretched = tuple(axis for axis, length in enumerate(shape) if length == 1)
    return grad.sum(axis=stretched, keepdims=True)
    # ---- your code: ends here ----


def add_forward(x, b):
    """Give out = x + b, and the shapes that the backward needs."""
    out = x + b
    return out, (x.shape, b.shape)


def add_backward(dout, cache):
    """Give (dx, db)."""
    # the gradients of x + b
    # ---- your code: begins here ----
    x_shape, b_shape = cache
    return sum_to(dout, x_shape), sum_to(dout, b_shape)
    # ---- your code: ends here ----


def mul_forward(x, w):
    """Give out = x * w, and x and w for the backward."""
    out = x * w
    return out, (x, w)


def mul_backward(dout, cache):
    """Give (dx, dw)."""
    # the gradients of x * w
    # ---- your code: begins here ----
    x, w = cache
    return sum_to(dout * w, x.shape), sum_to(dout * x, w.shape)
    # ---- your code: ends here ----


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    for x_shape, b_shape in [((2, 5, 3), (3,)), ((5, 3), (2, 1, 3)),
                             ((3, 1), (1, 4)), ((2, 3), ())]:
        x, b = rng.standard_normal(x_shape), rng.standard_normal(b_shape)
        out, cache = add_forward(x, b)
        dx, db = add_backward(np.ones_like(out), cache)
        print(f"x {x_shape}   b {b_shape}   out {out.shape}")
        print(f"    each element of b is used {db.ravel()[0]:.0f} times, "
              f"each of x {dx.ravel()[0]:.0f} times")
