"""The words that every layer's signature uses, and how a layer rejects arrays of the wrong shape.

Each layer checks its own arrays, in its own file; its fast version calls the same check.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ..arrays import Array, Cache

__all__ = ["Array", "Cache", "UniformSource", "check_shapes"]


@runtime_checkable
class UniformSource(Protocol):
    """Anything that draws uniform numbers in [0, 1): a numpy Generator, or a stand-in for one."""

    def random(self, size: tuple[int, ...]) -> Array:
        """Draw an array of the given shape."""
        ...


def check_shapes(fit: bool, expected: str, **given: Array | None) -> None:
    """Raise ValueError with what was expected and the shapes given, unless they `fit`."""
    if not fit:
        shapes = (f"{name} {'None' if a is None else a.shape}" for name, a in given.items())
        raise ValueError(f"{expected}; got {', '.join(shapes)}")
