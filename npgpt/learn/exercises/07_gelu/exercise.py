"""GELU

difficulty: 2/5   importance: 3/5   about 25 minutes (estimated)

STORY

Two linear layers in a row are one linear layer. What makes a deep network
more than a matrix is what stands between them, and in GPT-2 that is GELU: x
times the probability that a normal random variable is below x. A large x
passes as it is, a very negative one becomes 0, and between them it bends
smoothly.

There are two of them. The exact one needs the error function; GPT-2 was
trained with an approximation made of tanh, and its weights want this one.
They differ by less than a thousandth, too little to see in a picture and far
too much for a gradient check. Derive from the form that you wrote.

It acts on each element alone, so there is nothing to sum here. What there is:
a product whose two factors both hold x, and a function of a function.

    out = 0.5 * x * (1 + t)         x is in the first factor and, through t,
    t   = tanh(inner)               in the second: two paths, two terms
    inner = sqrt(2/pi) * (x + 0.044715 * x^3)

tanh's derivative is 1 - t^2, in its own output (exercise 2). Cache t, and
backward needs no tanh at all.

MATHEMATICS

    out = 0.5 * x * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x^3)))
    dx  = dout * (the path through the factor x + the path through tanh)

SHAPES

    x, out, dout, dx    any shape, all the same

dx means dLoss/dx, and has the shape of x.
"""

import numpy as np

from npgpt.learn import NotBegun


def gelu_forward(x):
    """Give GELU of x in its tanh form, and what backward needs."""
    # ---- your code: begins here ----
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    t = np.tanh(inner)
    out = 0.5 * x * (1 + t)
    return out, (x, t)
    # ---- your code: ends here ----


def gelu_backward(dout, cache):
    """Give (dx,)."""
    # ---- your code: begins here ----
    x, t = cache
    dinner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    through_factor = 0.5 * (1 + t)
    through_tanh = 0.5 * x * (1 - t**2) * dinner
    dx = dout * (through_factor + through_tanh)
    return (dx,)
    # ---- your code: ends here ----


if __name__ == "__main__":
    x = np.linspace(-4, 3, 15)
    out, cache = gelu_forward(x)
    (slope,) = gelu_backward(np.ones_like(x), cache)
    print("   x      gelu    slope")
    for a, b, c in zip(x, out, slope):
        bar = "#" * max(1, round(20 * abs(c)))
        left = " " * round(10 + 20 * min(c, 0))
        print(f"{a:5.1f}  {b:8.4f} {c:8.4f}  {left}{bar}")
