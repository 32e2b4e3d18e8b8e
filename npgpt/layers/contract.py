"""The words that every layer's signature uses, and how it refuses shapes that do not fit."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]
Cache = Any  # what a forward keeps for its own backward; nobody else looks inside


class UniformSource(Protocol):
    """Anything that draws uniform numbers in [0, 1): a numpy Generator, or a stand-in for one."""

    def random(self, size: Any = None) -> Any:
        """Draw an array of the given shape."""
        ...


def check_shapes(fit: bool, needed: str, **given: Array | None) -> None:
    """ValueError with what is `needed` and the shapes given, unless they fit."""
    if not fit:
        shapes = (f"{name} {'None' if a is None else a.shape}" for name, a in given.items())
        raise ValueError(f"{needed}; got {', '.join(shapes)}")
