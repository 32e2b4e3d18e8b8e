"""What PyTorch gave: golden.json, and the comparison of an array with what was saved of one."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

# the C library's log, sin and cos, and nothing else, may move the last bit on another system
LAST_BIT = 4e-16


@functools.cache
def golden() -> dict[str, Any]:
    """The golden file."""
    return json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))


def assert_same(array: np.ndarray, expected: dict[str, Any], what: str) -> None:
    """The array is the expected one, to the last bit; float64 up to one unit of it."""
    array = np.asarray(array)
    assert str(array.dtype) == expected["dtype"], what
    assert list(array.shape) == expected["shape"], what
    for place, number in expected["some"].items():
        got = array.flat[int(place)].item()
        near = abs(got - number) <= LAST_BIT * abs(number)
        assert near, f"{what}: {got} at {place}, not {number}"
    if array.dtype != np.float64:
        assert hashlib.sha256(array.tobytes()).hexdigest() == expected["sha256"], what
