"""Token ids, integers and dtypes from outside: checked once, here.

Inside npgpt, ids are an int64 array whose elements are rows of the token table. NumPy would read
the last row for -1 and truncate 1.7 to 1 without a word, so whatever a caller passes is checked
where it comes in.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

FLOAT_TYPES = ("float32", "float64")


def check_ids(ids: ArrayLike, vocab_size: int, what: str = "token ids") -> NDArray[np.int64]:
    """ids (...) as int64, if there are any and each is an integer in [0, vocab_size).

    Raises ValueError, which names the first that is not.
    """
    array = check_integers(ids, what)
    if array.size == 0:
        raise ValueError(f"{what}: none were given; at least one is needed")
    if array.min() < 0 or array.max() >= vocab_size:
        outside = array.min() if array.min() < 0 else array.max()
        raise ValueError(f"{what}: {outside} is outside the vocabulary [0, {vocab_size})")
    return array.astype(np.int64, copy=False)


def check_integers(values: ArrayLike, what: str) -> np.ndarray[Any, Any]:
    """An array of integers from an array or nested lists.

    Integers that do not fit into 64 bits stay Python's, so that a message can name them. Raises
    ValueError for anything else, with an example of it.
    """
    if not isinstance(values, (list, tuple)):
        values = np.asarray(values)
    if isinstance(values, np.ndarray) and values.dtype != object:
        if values.dtype.kind not in "iu":
            example = f" such as {values.flat[0]!r}" if values.size else ""
            raise ValueError(f"{what} must be integers; got {values.dtype}{example}")
        return values
    # as objects first: NumPy would read [5, True] as [5, 1]
    array = np.asarray(values, dtype=object)
    for value in array.flat:
        if isinstance(value, (list, tuple, np.ndarray)):
            raise ValueError(f"{what}: the rows have different lengths; expected all the same")
        if not _is_integer(value):
            raise ValueError(f"{what} must be integers; got {value!r} ({type(value).__name__})")
    try:
        return array.astype(np.int64)
    except OverflowError:
        return array


def check_integer(name: str, value: object, least: int, most: int | None = None) -> int:
    """`value` as an int of at least `least` and, unless None, at most `most`; a bool is none.

        check_integer("stride", stride, 1, window)

    Raises ValueError: `stride=0 must be an integer from 1 to 8`.
    """
    if not _is_integer(value) or value < least or (most is not None and value > most):
        fits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name}={value!r:.60} must be an integer {fits}")
    return int(value)


def check_number(name: str, value: object) -> float:
    """`value` as a float, if it is an int or a float; a bool is neither.

    Raises ValueError: `slope_init='big' must be a number`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ValueError(f"{name}={value!r:.60} must be a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name}={str(value):.20}... is too large for a number") from None


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """np.dtype of a float32 or float64; anything else is a ValueError."""
    try:
        result = np.dtype(dtype)
    except TypeError:
        raise ValueError(
            f"unknown dtype {dtype!r:.60}; expected {' or '.join(FLOAT_TYPES)}") from None
    if result.name not in FLOAT_TYPES:
        raise ValueError(f"unsupported dtype {result.name}; expected {' or '.join(FLOAT_TYPES)}")
    return result


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
