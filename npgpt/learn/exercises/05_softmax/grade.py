"""How softmax is graded."""

import functools
from dataclasses import replace

import numpy as np

from npgpt.doctor import Program
from npgpt.doctor.values.catalogue import PROGRAMS


def _over_batch(x, top=0):
    e = np.exp(x - x.max(top, keepdims=True))
    return e / e.sum(0, keepdims=True)


def _draw(rng, settings, n):
    """The doctor's inputs as a batch of one, so that all have the axes B, T, N."""
    (x,), settings = SOFTMAX.draw(rng, settings, n)
    return (x[None],), settings


def _dx(x, dout, wrong=None):
    """dx, with one mistake made."""
    e = np.exp(x - x.max(-1, keepdims=True))
    out = e / e.sum(-1, keepdims=True)
    sums = (dout * out).sum(None if wrong == "all rows" else -1, keepdims=True)
    return {"dx": out * (dout - sums)}


SOFTMAX = PROGRAMS["softmax"]
FORWARD = replace(SOFTMAX, draw=_draw, variants=[
    *SOFTMAX.variants, *(("softmax-wrong-axis", functools.partial(_over_batch, top=top),
                          "softmax runs over axis 0, the batch: rows lie along the last one")
                         for top in (0, -1))])
BACKWARD = Program("softmax", _dx, [
    ("wrong-axis", functools.partial(_dx, wrong="all rows"),
     "all rows are taken for one: the sum runs over the whole array (np.diag of a flattened batch "
     "does the same), and each row has a sum of its own"),
])


def grade(mine, g):
    """Values with rows of uneven size, the gradient, and rows that would overflow."""
    forward, backward = mine.softmax_forward, mine.softmax_backward
    x = g.normal(2, 3, 5)
    g.values(FORWARD, forward, x, axes="B T N")

    def sums_to_one():
        off = np.abs(forward(x)[0].sum(-1) - 1).max()
        return off < 1e-12 or (f"It is off by {off:.0e}: after the shift the sum of exp is at "
                               "least 1, and needs nothing added.")

    @functools.wraps(backward)
    def gradient(x, dout):
        given = backward(dout, forward(x)[1])
        return {"dx": given[0] if isinstance(given, tuple) else given}

    found = len(g.findings)
    if isinstance(forward(x), tuple):
        g.probe("eps-in-sum", "every row sums to 1", sums_to_one)
        g.known(BACKWARD, gradient, x, g.normal(2, 3, 5))
    if len(g.findings) == found:    # the doctor would say it again under another name
        g.gradient(forward, backward, x)


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
