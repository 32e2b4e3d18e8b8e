"""What goes into a check and comes out of the functions that are checked: arrays, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..arrays import Array


class ContractError(ValueError):
    """The pair does not follow the layer contract, so there is nothing to check."""


class constant(NamedTuple):
    """A float input that has no gradient, such as targets or a mask: `constant(targets)`."""

    value: object


def as_array(value: object, name: str = "an input") -> Array | None:
    """An input as an array, floats as float64; None stays. Raises ContractError."""
    if value is None:
        return None
    array = to_numpy(value)
    if array.dtype.kind not in "fiub":
        raise ContractError(
            f"{name}: expected floats, integers or booleans, got {describe(value)}")
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def to_numpy(value: object) -> Array:
    """A value as an array, a tensor of PyTorch taken off its graph; raises ContractError."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().resolve_conj().numpy()
    try:
        return np.asarray(value)
    except ValueError:
        raise ContractError(f"expected an array, got {describe(value)} of several shapes") from None


def describe(value: object) -> str:
    """What a value is, for the middle of a sentence."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if isinstance(value, (tuple, list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a value of type {type(value).__name__}"


def names_of(function: Callable[..., object], count: int) -> list[str]:
    """A function's own names for its first `count` arrays; x0, x1, ... where it has none."""
    try:
        names = list(inspect.signature(function).parameters)[:count]
    except (TypeError, ValueError):     # NumPy's own functions do not name theirs
        names = []
    return names + [f"x{i}" for i in range(len(names), count)]
