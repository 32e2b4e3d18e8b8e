"""What an array is called, in one place: layers and tape share the word, and not each other."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

# of any shape and dtype: a docstring gives the shape, and float32 or float64 follow the input
Array = NDArray[Any]
