"""Multiples of the true gradient: which number it is, its name and its words."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from .numeric import Array

NEAR = 1e-7  # a number found by least squares is that close to what it stands for
# Every factor that people write or forget is among the multiples of 1/24: halves, thirds, quarters,
# sixths, eighths, twelfths and all integers.
PARTS = 24

Number = TypeVar("Number", float, Array)


def near(c: float, value: float) -> bool:
    """Is c this number, up to rounding?"""
    return abs(c - value) < NEAR


def plain(c: Number) -> Number:
    """The multiple of 1/24 that is nearest to c."""
    return np.round(c * PARTS) / PARTS  # type: ignore[no-any-return]


def kind_of(c: float) -> str:
    """The kind of the fault that gives c times the true gradient."""
    return "zero-gradient" if c == 0 else "wrong-sign" if near(c, -1) else "factor"


def times(c: float) -> str:
    """What is wrong with c times the true gradient, as the end of a sentence."""
    if c == 0:
        return "is zero"
    if near(c, -1):
        return "has the wrong sign"
    text = f"{c:.6g}"
    return f"is {c:.9g} times the true one" if text == "1" else f"is {text} times the true one"
