"""A small text picture of where a gradient is wrong, for faults that have no name."""

from __future__ import annotations

import numpy as np

from npgpt.gradcheck.numeric import Array

ROWS, COLUMNS = 12, 60


def picture(wrong: Array) -> str:
    """Draw a mask of wrong elements: the last axis runs to the right, all others run down.

    '#' is wrong, '.' is right; a mask too large for 12 rows of 60 is drawn in cells, and a cell is wrong
    when one of its elements is.
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


def largest_block(wrong: Array) -> str:
    """The extent of the wrong elements, axis by axis, such as '[0:2, 1, :]', and how many it holds."""
    if wrong.all():
        return f"all {wrong.size} elements are wrong"
    places = np.nonzero(wrong)
    parts = []
    for axis, indices in enumerate(places):
        first, last = int(indices.min()), int(indices.max())
        if (first, last) == (0, wrong.shape[axis] - 1):
            parts.append(":")
        else:
            parts.append(str(first) if first == last else f"{first}:{last + 1}")
    return (
        f"{int(wrong.sum())} of {wrong.size} elements are wrong, all inside [{', '.join(parts)}]"
    )
