"""How softmax is graded."""

import numpy as np


def grade(mine, g):
    """Values with rows of uneven size, the gradient, and a row that would overflow."""
    x = g.normal(2, 3, 5)
    g.values("softmax", mine.softmax_forward, x, axes="B T N")
    g.probe("no-max-subtracted", "scores of 1000 give probabilities, not nan",
            lambda: np.isfinite(mine.softmax_forward(np.array([[1000.0, 999.0]]))[0]).all())
    g.gradient(mine.softmax_forward, mine.softmax_backward, x)


def after():
    """One thing worth knowing, with its numbers."""
    from npgpt.layers.softmax import softmax_backward, softmax_forward

    rng = np.random.default_rng(0)
    out, cache = softmax_forward(rng.standard_normal((3, 5)))
    (dx,) = softmax_backward(np.ones((3, 5)), cache)
    return ("A row of out always sums to 1, so pushing all of dout up changes nothing: with dout = "
            f"1 everywhere dx is {abs(dx).max():.0e}. A check that takes the plain sum of out as "
            "its loss sees only this zero, and lets almost any softmax backward pass. Ours draws "
            "dout at random.")
