"""Token ids, integers and dtypes from outside: checked once, here.

Inside npgpt, ids are an int64 array whose elements are rows of the token table. NumPy would read
the last row for -1 and truncate 1.7 to 1 without a word, so whatever a caller passes is checked
where it comes in.
"""

from __future__ import annotations

import math
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .arrays import Array
from .suggest import shown

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


def check_integers(values: ArrayLike, what: str) -> Array:
    """An array of integers from an array or nested lists.

    Integers that do not fit into 64 bits stay Python's, so that a message can name them. Raises
    ValueError for anything else, with an example of it.
    """
    first = values[0] if isinstance(values, (list, tuple)) and values else values
    if isinstance(first, str):
        raise ValueError(f"{what} must be integers; got text, {shown(first)}: tokenizer.encode"
                         "(text) gives ids, and npgpt.load(model).write(text) takes text")
    if not isinstance(values, (list, tuple)):
        values = np.asarray(values)
    if isinstance(values, np.ndarray) and values.dtype != object:
        if values.dtype.kind not in "iu":
            example = f" such as {shown(values.flat[0])}" if values.size else ""
            raise ValueError(f"{what} must be integers; got {values.dtype}{example}")
        return values
    # as objects first: NumPy would read [5, True] as [5, 1]
    array = np.asarray(values, dtype=object)
    for value in array.flat:
        if isinstance(value, (list, tuple, np.ndarray)):
            raise ValueError(f"{what}: the rows have different lengths; expected all the same")
        if not _is_integer(value):
            raise ValueError(
                f"{what} must be integers; got {shown(value)} ({type(value).__name__})")
    try:
        return array.astype(np.int64)
    except OverflowError:
        return array


def check_batch(
    ids: ArrayLike, targets: ArrayLike, vocab_size: int
) -> tuple[NDArray[np.int64], Array]:
    """ids and targets (B, T) of one shape, ids in [0, vocab_size); raises ValueError for others."""
    ids, targets = check_ids(ids, vocab_size, "ids"), check_integers(targets, "targets")
    if ids.ndim != 2 or targets.shape != ids.shape:
        raise ValueError(f"ids and targets must both be (B, T); got {ids.shape}, {targets.shape}")
    return ids, targets


def check_integer(
    name: str, value: object, least: int, most: int | None = None, hint: str = ""
) -> int:
    """`value` as an int of at least `least` and, unless None, at most `most`; a bool is none.

        check_integer("stride", stride, 1, window)

    Raises ValueError: `stride=0 must be an integer from 1 to 8`.
    """
    if not _is_integer(value) or value < least or (most is not None and value > most):
        fits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name}={shown(value)} must be an integer {fits}{hint}")
    return int(value)


def check_number(name: str, value: object, finite: bool = False) -> float:
    """`value` as a float, if it is an int or a float; a bool is neither.

    Raises ValueError: `slope_init='big' must be a number`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ValueError(f"{name}={shown(value)} must be a number")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name}={shown(value, 20)} is too large for a number") from None
    if finite and not math.isfinite(number):
        raise ValueError(f"{name}={number} must be a finite number")
    return number


def check_floats(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """`values` (...) as float64, if they are real numbers; raises ValueError for others."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name}: the rows have different lengths") from None
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be real numbers; got {array.dtype}, {shown(values)}")
    return array.astype(np.float64)


def unwrap_numpy(settings: object) -> None:
    """Replace NumPy's numbers in a frozen dataclass by Python's, which do not wrap around."""
    for name, value in list(vars(settings).items()):
        if isinstance(value, np.generic):
            object.__setattr__(settings, name, value.item())


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """np.dtype of a float32 or float64; anything else is a ValueError."""
    try:
        if dtype is None:       # to NumPy, float64
            raise TypeError
        result = np.dtype(dtype)
    except (TypeError, ValueError):
        raise ValueError(
            f"unknown dtype {shown(dtype)}; expected {' or '.join(FLOAT_TYPES)}") from None
    if result.name not in FLOAT_TYPES:
        raise ValueError(f"unsupported dtype {result.name}; expected {' or '.join(FLOAT_TYPES)}")
    return result


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
