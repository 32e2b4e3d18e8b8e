"""The words that every layer's signature uses."""

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
