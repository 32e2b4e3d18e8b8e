"""The words for an array and a cache, in one place: layers and tape share them, not each other."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

# of any shape and dtype: a docstring gives the shape, and float32 or float64 follow the input
Array = NDArray[Any]
# what a forward saves for its own backward; nobody else looks inside
Cache = Any
