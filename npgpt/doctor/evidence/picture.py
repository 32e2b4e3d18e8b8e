"""A small text picture of where a gradient is wrong, for faults without a name."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Array

ROWS, COLUMNS = 12, 60


def picture(wrong: Array) -> str:
    """Draw a mask of wrong elements: the last axis runs to the right, all others run down.

    '#' is wrong, '.' is right; a mask too large for 12 rows of 60 is drawn in cells, and a cell is
    wrong when one of its elements is.
    """
    grid = np.atleast_1d(wrong)
    rows = grid.reshape(-1, grid.shape[-1])
    height = min(ROWS, len(rows))
    width = min(COLUMNS, rows.shape[1])
    lines = []
    for part in np.array_split(rows, height):
        cells = np.array_split(part, width, axis=1)
        lines.append("".join("#" if cell.any() else "." for cell in cells))
    return "\n".join(lines)


def neighbourhood(analytic: Array, numeric: Array, index: tuple[int, ...], width: int = 2) -> str:
    """Both gradients beside `index` along the last axis, as two lines."""
    if not analytic.ndim:
        return ""
    last = index[-1]
    columns = slice(max(0, last - width), last + width + 1)
    where: tuple[Any, ...] = (*index[:-1], columns)
    place = ", ".join(
        [*map(str, index[:-1]), f"{columns.start}:{min(columns.stop, analytic.shape[-1])}"]
    )
    lines = []
    for name, values in (("analytic", analytic[where]), ("numeric", numeric[where])):
        lines.append(f"{name:9}" + "".join(f" {value:12.5g}" for value in values))
    return f"near [{place}]\n" + "\n".join(lines)


def largest_block(wrong: Array) -> str:
    """The largest box of wrong elements grown from one of them, such as '[0:2, 1, :]'."""
    best: list[tuple[int, int]] = []
    most = 0
    for start in np.argwhere(wrong)[:64]:
        box = [(int(i), int(i) + 1) for i in start]
        for axis in reversed(range(wrong.ndim)):
            for step in (1, -1):
                while True:
                    low, high = box[axis]
                    grown = (low, high + 1) if step == 1 else (low - 1, high)
                    if grown[0] < 0 or grown[1] > wrong.shape[axis]:
                        break
                    trial = [*box[:axis], grown, *box[axis + 1 :]]
                    if not wrong[tuple(slice(*pair) for pair in trial)].all():
                        break
                    box[axis] = grown
        size = int(np.prod([high - low for low, high in box]))
        if size > most:
            best, most = box, size
    return f"[{', '.join(map(_range, best, wrong.shape))}]"


def _range(pair: tuple[int, int], length: int) -> str:
    low, high = pair
    if pair == (0, length):
        return ":"
    return str(low) if high - low == 1 else f"{low}:{high}"
