"""The work of micrograd's demo: two half moons of points, and where the weights start."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SIZES = (2, 16, 16, 1)
RATE, DECAY = 0.1, 1e-4


def moons(points: int) -> tuple[Array, Array]:
    """Points (n, 2) on two half circles with some noise, and -1 or 1 for each (n,)."""
    rng = np.random.default_rng(0)
    angles = np.linspace(0, np.pi, points // 2)
    upper = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    both = np.concatenate([upper, np.array([1.0, 0.5]) - upper])
    labels = np.repeat([-1.0, 1.0], points // 2)
    return both + 0.1 * rng.standard_normal(both.shape), labels


def weights() -> list[tuple[Array, Array]]:
    """A weight (in, out) and a bias (out,) for each layer, drawn as micrograd draws."""
    rng = np.random.default_rng(1)
    return [(rng.uniform(-1, 1, (n, m)), np.zeros(m)) for n, m in zip(SIZES, SIZES[1:])]
