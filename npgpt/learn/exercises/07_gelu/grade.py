"""How GELU is graded."""

import contextlib
import functools

import numpy as np

from npgpt.doctor import Program, diagnose_value

SCALE, CUBIC = np.sqrt(2 / np.pi), 0.044715


def _t(x):
    return np.tanh(SCALE * (x + CUBIC * x**3))


def _dx(x, dout, dtanh=lambda t: 1 - t**2, dinner=lambda x: SCALE * (1 + 3 * CUBIC * x**2),
        one=0.5, two=0.5):
    t = _t(x)
    return {"dx": dout * (one * (1 + t) + two * x * dtanh(t) * dinner(x))}


def _other(**change):
    return functools.partial(_dx, **change)


def _inner(change):
    return _other(dinner=change)


def _exact(x, dout):
    return {"dx": dout * (0.5 * (1 + _t(x)) + x * np.exp(-x**2 / 2) / np.sqrt(2 * np.pi))}


# what the doctor finds, but would name less plainly
BACKWARD = Program("gelu_backward", _dx, [
    ("term-factor", _inner(lambda x: SCALE * (1 + CUBIC * x**2)),
     "the 3 of the cube is missing: the slope of 0.044715 x^3 is 3 * 0.044715 x^2"),
    ("term-factor", _inner(lambda x: SCALE * (1 + 2 * CUBIC * x**2)),
     "the slope of x^3 is taken as 2 x^2: it is 3 x^2"),
    ("term-factor", _inner(lambda x: 1 + 3 * CUBIC * x**2),
     "sqrt(2/pi) is missing in the slope of inner: it multiplies all of it"),
    ("term-factor", _inner(lambda x: SCALE + 3 * CUBIC * x**2),
     "sqrt(2/pi) multiplies only the first term of inner's slope: it multiplies all of it"),
    ("term-factor", _inner(lambda x: SCALE**2 * (1 + 3 * CUBIC * x**2)),
     "sqrt(2/pi) is there twice"),
    ("wrong-power", _inner(lambda x: SCALE * (1 + 3 * CUBIC * x**3)),
     "the cube stays a cube: the slope of x^3 is 3 x^2"),
    ("wrong-power", _inner(lambda x: SCALE * (1 + 3 * CUBIC * x)),
     "the slope of x^3 is taken as 3 x: it is 3 x^2"),
    ("missing-term", _inner(lambda x: SCALE),
     "inner's slope has no part from the cube: inner = sqrt(2/pi) * (x + 0.044715 x^3)"),
    ("missing-term", _inner(lambda x: SCALE * 3 * CUBIC * x**2),
     "inner's slope has no 1: inner = sqrt(2/pi) * (x + 0.044715 x^3), and x has the slope 1"),
    ("missing-factor", _inner(lambda x: 1.0),
     "inner's own slope is missing: the chain rule goes on from tanh to inner and from inner to x"),
    ("wrong-variable", _other(dtanh=lambda t: 1 - t),
     "tanh's slope is taken as 1 - t: it is 1 - t^2"),
    ("wrong-variable", _other(dtanh=lambda t: t), "tanh's slope is taken as t: it is 1 - t^2"),
    ("missing-factor", _other(dtanh=lambda t: 1.0),
     "tanh's own slope, 1 - t^2, is missing in the second term"),
    ("wrong-variable", _other(dtanh=lambda t: 1 - np.tanh(t)**2),
     "tanh is taken twice: t is tanh(inner) already, so its slope is 1 - t^2"),
    ("wrong-variable", _other(dtanh=lambda t: t * (1 - t)),
     "t (1 - t) is the sigmoid's slope: tanh's is 1 - t^2"),
    ("term-factor", _other(two=1.0),
     "the 1/2 is missing in the second term: out = 0.5 * x * (1 + t)"),
    ("term-factor", _other(one=1.0),
     "the 1/2 is missing in the first term: out = 0.5 * x * (1 + t)"),
    ("exact-derivative", _exact, "the second term is that of the exact GELU, x times the normal "
                                 "density: your forward is the tanh form"),
])


def _steady(numbers):
    """The number that all of these are, or None."""
    middle = np.median(numbers)
    return middle if np.abs(numbers - middle).max() < 1e-6 * abs(middle) else None


def _forward_constants(forward, g):
    """Mistyped constants are found by solving for them: out = x / 2 (1 + tanh(a x + b x^3))."""
    x = np.linspace(0.4, 1.6, 9)
    inner = np.arctanh(2 * np.asarray(forward(x)[0], float) / x - 1)
    (a, b), off, *_ = np.linalg.lstsq(np.stack([x, x**3], 1), inner, rcond=None)
    if not off.size or not off[0] < 1e-20:
        return
    if abs(b / a - CUBIC) > 1e-8:
        g.fail("gelu-constant", f"gelu_forward: the constant of the cube is {b / a:.6g}; it should "
               f"be {CUBIC}")
    g.fail("gelu-root", f"gelu_forward: the factor inside of tanh is {a:.9g}; it should be "
           f"sqrt(2/pi) = {SCALE:.9g}")


def _backward_constants(mine, g):
    x = np.linspace(0.4, 1.6, 9)
    try:
        out, cache = mine.gelu_forward(x)
        dx = np.asarray(_tuple(mine.gelu_backward(np.ones(9), cache))[0], float) + 0 * x
    except (AttributeError, LookupError, TypeError, ValueError):    # for the steps that follow
        return
    t = _t(x)
    slope = (dx - 0.5 * (1 + t)) / (0.5 * x * (1 - t * t)) / SCALE
    third = _steady((slope - 1) / x**2)
    known = [n * CUBIC for n in (0, 1, 2, 3)]
    if third is not None and all(abs(third - n) > 1e-8 for n in known):
        g.fail("gelu-constant", f"gelu_backward: the constant of the cube is {third / 3:.6g} here "
               f"(x^2 is multiplied by {third:.6g}); it should be {CUBIC}, as in the forward")


def _tuple(gradients):
    return gradients if isinstance(gradients, tuple) else (gradients,)


def grade(mine, g):
    """The forward, large inputs, then the gradient."""
    x = 1.5 * g.normal(2, 3, 5)
    if {"float32", "unexplained"} & {*diagnose_value("gelu", mine.gelu_forward, x).kinds}:
        with contextlib.suppress(LookupError, TypeError, ValueError):   # for the next step
            _forward_constants(mine.gelu_forward, g)
    g.values("gelu", mine.gelu_forward, x, axes="B T C")

    @functools.wraps(mine.gelu_backward)
    def gradients(x, dout):
        return {"dx": _tuple(mine.gelu_backward(dout, mine.gelu_forward(x)[1]))[0]}

    _backward_constants(mine, g)
    found = len(g.findings)
    g.known(BACKWARD, gradients, x, g.normal(2, 3, 5))
    if len(g.findings) == found:    # the doctor would say it again under another name
        g.gradient(mine.gelu_forward, mine.gelu_backward, x)

    def large_inputs():
        x = np.array([-300.0, -40.0, 40.0, 300.0])
        out, cache = mine.gelu_forward(x)
        slope = mine.gelu_backward(np.ones(4), cache)
        slope = slope[0] if isinstance(slope, tuple) else slope
        return np.allclose(out, [0, 0, 40, 300]) and np.allclose(slope, [0, 0, 1, 1]) or (
            f"At -300, -40, 40 and 300 gelu is {out}, its slope {slope}; expected 0, 0, 40, 300 "
            "and 0, 0, 1, 1.")

    g.probe("not-finite", "inputs of 300 neither overflow nor give NaN", large_inputs)


def after():
    """How far the two forms are apart, and where GELU falls."""
    from npgpt.layers.gelu import gelu_backward, gelu_exact_forward, gelu_forward

    x = np.linspace(-6, 6, 120_001)
    out, cache = gelu_forward(x)
    apart = np.abs(out - gelu_exact_forward(x)[0])
    (slope,) = gelu_backward(np.ones_like(x), cache)
    falling = x[slope < 0]
    return (f"The tanh form and the exact one are never further apart than {apart.max():.1e}, near "
            f"|x| = {abs(x[apart.argmax()]):.1f}. And GELU is not monotonic: it falls until x = "
            f"{falling.max():.3f}, where it is {out[x == falling.max()][0]:.3f}. So its gradient "
            "may be negative, and a unit below that point is not dead as it would be with ReLU.")
