"""The call of a notebook's cell: npgpt.learn.check("softmax") grades the functions of the cells."""

from __future__ import annotations

import sys
import types
from typing import Any

from .marks import NotBegun


def check(name: str) -> Any:
    """Check the functions of the caller's own namespace as the exercise `name`."""
    from .examine import examine_module
    from .exercise import read_course

    frame = sys._getframe(1)
    mine = types.ModuleType("cell")
    mine.__dict__.update(frame.f_globals)
    exercise = next(e for e in read_course() if e.name == name)
    return examine_module(exercise, mine)


__all__ = ["NotBegun", "check"]
