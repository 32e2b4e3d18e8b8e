"""Kinks of a function, such as ReLU at 0: find the elements that sit on one and step off it.

On a kink there is no derivative, only one from the left and one from the right; backward may give
either, so a comparison there is unfair to everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .measure import FULL
from .numeric import Array, choose_method, find_kinks
from .subject import CallError, Subject

STEP = 0.1


def _is_defined(function: Callable[[Array], Any], x: Array) -> bool:
    try:
        return bool(np.isfinite(function(x)).all())
    except CallError:  # forward rejects such an input
        return False


def step_around(subject: Subject, rng: np.random.Generator) -> tuple[Subject, list[str]]:
    """The subject with inputs moved off every kink found, and a note for each that was moved."""
    notes = []
    for i in subject.floats:
        x = subject.array(i)
        if not 0 < x.size <= FULL:
            continue
        moved = np.zeros(x.shape, dtype=bool)
        for _ in range(4):
            function = subject.out_as_function_of(i)
            x = subject.array(i)
            method = choose_method(function, x, rng)
            if method.exact:
                break
            found = find_kinks(function, x, method.noise, method.coarse)
            if not found.any():
                break
            step = found * STEP * rng.choice([-1.0, 1.0], x.shape) * np.maximum(1.0, np.abs(x))
            # log(1e-3) seems to have one, and a step to the left would leave where it is defined
            away = next((y for y in (x + step, x - step, x + np.abs(step))
                         if _is_defined(function, y)), None)
            if away is None:
                break
            moved |= found
            subject = subject.with_input(i, away)
        if moved.any():
            first = tuple(int(n) for n in np.argwhere(moved)[0])
            count = int(moved.sum())
            notes.append(
                f"{subject.names[i]} sits on a kink or right beside one, where the slopes to the "
                f"left and to the right differ, in {count} element{'s' * (count != 1)} (first "
                f"{list(first)}); the check stepped off by {STEP}."
            )
    return subject, notes
