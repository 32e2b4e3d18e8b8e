"""Names for a gradient that is too large for a Jacobian, or of the wrong shape at such a size.

What backward returned is rearranged in every way that a known fault could have done, and each time
compared with the truth along a few random directions: a multiple of it there, the same to eight
digits along each, is the fault. A few single wrong elements are found one after another.
"""

from __future__ import annotations

import numpy as np

from .compare import WHOLE
from .elements import list_elements
from .fault import Fault
from .layout import wrong_layout
from .multiple import times
from .numeric import Array, Index, choose_method, norm, signs
from .sampling import DIRECTIONS, Slope, along, bisect
from .subject import Subject

MOST = 5  # wrong elements that are searched one by one


def explain_large(subject: Subject, position: int, rng: np.random.Generator) -> Fault | None:
    """The rearrangement, sum or factor that turned the true gradient into what backward returned.
    """
    x = subject.array(position)
    dout = signs(subject.run()[0].shape, rng)
    given = np.asarray(subject.gradients(dout)[position], dtype=np.float64)
    function = subject.out_as_function_of(position)
    method = choose_method(function, x, rng)
    directions = [signs(x.shape, rng) for _ in range(DIRECTIONS)]
    numeric = np.array([np.sum(dout * method.along(function, x, v)[0]) for v in directions])
    return wrong_layout(
        subject.names[position], x.shape, given[None],
        lambda back: np.array([along(back[0], v) for v in directions]), numeric,
        f"so restored it meets the true derivative along {DIRECTIONS} random directions")


def few_wrong(
    name: str, analytic: Array, slope: Slope, first: Index, rng: np.random.Generator
) -> Fault | None:
    """The wrong elements from `first` on, if there are few; else None.

    Each one found is corrected, until nothing is wrong along random directions any more.
    """
    corrected = analytic.copy()
    how: dict[Index, str] = {}
    index = first
    for _ in range(MOST):
        direction = np.zeros(analytic.shape)
        direction[index] = 1.0
        corrected[index], _ = slope(direction)
        given, numeric = float(analytic[index]), float(corrected[index])
        how[index] = times(given / numeric) if numeric else f"is {given:.6g} instead of 0"
        wrong = _wrong_direction(corrected, slope, rng)
        if wrong is None:
            them = "it" if len(how) == 1 else "them"
            return list_elements(
                name, dict(sorted(how.items())),
                f"with {them} corrected, the rest is right along {DIRECTIONS} random directions")
        index = bisect(corrected, slope, wrong)
        if index in how:
            return None
    return None


def _wrong_direction(analytic: Array, slope: Slope, rng: np.random.Generator) -> Array | None:
    size = norm(analytic)
    for _ in range(DIRECTIONS):
        direction = signs(analytic.shape, rng)
        numeric, error = slope(direction)
        if abs(along(analytic, direction) - numeric) > WHOLE * size + 5 * error:
            return direction
    return None
