"""How the difference quotient is graded."""

import functools

import numpy as np

from npgpt.budget import count_parameters
from npgpt.config import GPT2Config
from npgpt.doctor import Program
from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.doctor.values.program import Variant

SMALLEST, LARGEST = 3e-8, 3e-4      # steps for numbers of about unit size


def _each(f, x, h, places, quotient, left=0.0):
    """The quotient at each of `places`, which are left `left` away from where they were."""
    x, dx = x.astype(float), np.zeros(x.shape)
    for place in places:
        move = np.zeros(x.shape)
        move[place] = h
        dx[place] = quotient(float(f(x + move)), float(f(x)), float(f(x - move)), h)
        x = x + left * move
    return dx


def _central(above, here, below, h):
    return (above - below) / (2 * h)


def _other(places=lambda x: np.ndindex(x.shape), quotient=_central, left=0.0):
    return lambda f, x, h=1e-5: _each(f, x, h, places(x), quotient, left)


PROGRAM = PROGRAMS["numeric_gradient"]
ONE_SIDED = ("the quotient is one-sided: its error shrinks like h, not like h^2; move to both "
             "sides, by h each")
HALVED = ("only one side is moved, yet it divides by 2 h (where x is moved in place, x[i] - h is "
          "the place where it began)")
OWN = [
    ("one-sided", _other(quotient=lambda above, here, below, h: (here - below) / h), ONE_SIDED),
    ("one-sided-halved", _other(
        quotient=lambda above, here, below, h: (here - below) / (2 * h)), HALVED),
    ("x-not-put-back", _other(left=1.0),
     "x is not put back after the probe: later elements are taken at another point"),
    ("sum-for-difference", _other(quotient=lambda above, here, below, h: (above + below) / (2 * h)),
     "the two values are added: it is their difference that is divided by 2 h"),
    ("one-axis-only", _other(places=lambda x: range(len(x))),
     "only the first axis is visited: x[i] is a whole row, whose elements all move at once"),
    ("one-axis-only", _other(places=lambda x: [(slice(None), j) for j in range(x.shape[1])]),
     "only the last axis is visited: a whole column is moved at once"),
    ("last-only", _other(places=lambda x: [*np.ndindex(x.shape)][-1:]),
     "only the last element is filled in: does dx begin anew in the loop?"),
    ("first-only", _other(places=lambda x: [*np.ndindex(x.shape)][:1]),
     "only the first element is filled in: does the return stand inside of the loop?"),
]
CLEARER = {"one-sided": ONE_SIDED, "one-sided-halved": HALVED}


def _program():
    known = [Variant(v.kind, CLEARER.get(v.kind, v.sentence), v.value, v.function)
             for v in PROGRAM.mistakes()]
    return Program(PROGRAM.name, PROGRAM.function, [*known, *OWN], draw=PROGRAM.draw)


def _step(gradient, g):
    """How far from x f is called: not at all, so near that digits are lost, or too far."""
    moves = []
    x = np.array([0.5, -1.0])

    def f(at):
        moves.append(float(np.abs(np.asarray(at) - x).max()))
        return float((np.asarray(at)**2).sum())

    gradient(f, x.copy())
    step = max(moves, default=0.0)
    if step < 1e-14:
        g.fail("x-not-moved", "numeric_gradient never calls f at another point than x. Move an "
               "element by h and call f there; if two names stand for the same array, moving one "
               "by h and the other by -h moves nothing: take a copy")
    elif step < SMALLEST:
        g.fail("step-too-small", f"numeric_gradient moves x by {step:.0e} only: f(x + h) and "
               "f(x - h) agree in nearly all of their digits, and the difference loses them. "
               "h = 1e-5 is near the best")
    elif step > LARGEST:
        g.fail("step-too-large", f"numeric_gradient moves x by {step:.0e}: the error grows like "
               "h^2. h = 1e-5 is near the best")
    return step


def _factor(gradient, h, g):
    """A multiple of the derivative, by a power of h."""
    x = np.array([[0.5, -1.0, 0.8], [1.5, 0.7, -0.3]])
    dx = gradient(lambda x: float((x * x).sum()), x)
    if not isinstance(dx, np.ndarray) or dx.shape != x.shape or dx.dtype.kind != "f":
        return
    ratio = dx / (2 * x)
    c = ratio[0, 0]
    if not np.abs(ratio - c).max() < 1e-3 * abs(c):
        return
    for value, kind, text in [
        (-1, "wrong-sign", "the sign is wrong: f(x + h) comes first, f(x - h) is subtracted"),
        (h * h, "h-multiplied", "it is multiplied by h: / 2 * h divides by 2 and then multiplies "
                                "by h; write / (2 * h)"),
        (2 * h * h, "h-multiplied", "the difference is multiplied by h; it is divided by 2 h"),
        (2 * h, "not-divided", "the difference is not divided by 2 h"),
        (h, "not-divided", "the difference is divided by 2, not by 2 h"),
        (1 / h, "divided-twice", "the difference is divided by h twice"),
        (4, "two-forgotten", "it is 4 times too large: / (2 * h) divides by 2 h; / h * 2 does not"),
    ]:
        if abs(c / value - 1) < 1e-2:
            g.fail(kind, f"numeric_gradient: {text}")


def grade(mine, g):
    """The step, the values by the known mistakes, and that x is left alone."""
    @functools.wraps(mine.numeric_gradient)
    def gradient(f, x, *h):
        # x may be moved in place as long as it is put back, up to rounding: see the last probe
        return mine.numeric_gradient(f, x.copy(), *h)

    if step := _step(gradient, g):
        _factor(gradient, step, g)
    g.values(_program(), gradient)
    for shape in [(), (5,), (2, 1, 3)]:
        x = g.normal(*shape)
        g.values(lambda x: np.cos(x), functools.wraps(gradient)(
            lambda x: gradient(lambda x: np.sin(x).sum(), x)), x, axes="")

    def left_alone():
        x = g.normal(2, 3)
        before = x.copy()
        mine.numeric_gradient(lambda x: float((x * x).sum()), x)
        off = np.abs(x - before).max()
        return off < 1e-9 or f"An element of x has moved by {off:.0e}: put it back, or move a copy."

    g.probe("wrong-type", "dx is float64, as x is",
            lambda: np.asarray(mine.numeric_gradient(
                lambda x: float((x * x).sum()), np.ones(2))).dtype == np.float64)
    g.probe("in-place", "x is the same after the call as before", left_alone)


def after():
    """The best step, measured."""
    steps = 10.0**-np.arange(1, 13)
    x = np.array(1.0)
    errors = [abs((np.sin(x + h) - np.sin(x - h)) / (2 * h) - np.cos(x)) for h in steps]
    best = steps[int(np.argmin(errors))]
    count = count_parameters(GPT2Config.named("gpt2"))
    return (f"For sin at 1 the best of these steps is h = {best:.0e}, with an error of "
            f"{min(errors):.0e}; h = 1e-12 gives {errors[-1]:.0e}. Two errors pull in opposite "
            "directions: the formula's shrinks like h^2, that of rounding grows like 1/h. GPT-2 "
            f"has {count:,} parameters: one gradient by this function takes {2 * count:,} runs of "
            "the model. A backward gives the same for about the price of two.")
