"""From a file's tensors to the parameters of a config; all mismatches are reported at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Mapping

import numpy as np

from ..config import GPT2Config
from ..params import Params, checked_dtype, parameter_shapes
from .errors import bad_file, named, shown
from .stored import FLOATS, Stored, same


def is_linear(name: str) -> bool:
    """Whether a parameter is a linear weight of GPT-2's, which the book and llm.c transpose."""
    return re.fullmatch(r"h\.\d+\.\w+\.c_\w+\.weight", name) is not None


def tied(
    path: Path, tensors: dict[str, Stored], tie: object, source: Path, head: str, table: str
) -> bool:
    """Whether the output matrix is the token table; drops a second copy of it from `tensors`.

    `tie` is tie_word_embeddings of the config file `source`; if it is None, equal numbers decide.
    `head` and `table` are the names of the two.
    """
    if tie is not None and not isinstance(tie, bool):
        raise bad_file(source, f"tie_word_embeddings={shown(tie)} must be true or false")
    if head not in tensors or tie is False:
        return tie is not False
    if table in tensors and same(tensors[head], tensors[table]):
        del tensors[head]
        return True
    if tie is None:
        return False
    raise bad_file(
        path, "the output matrix differs from the token table, but the config ties them; set "
        f"tie_word_embeddings to false in {source.name} to use both"
    )


def assemble(
    path: Path,
    config: GPT2Config,
    tensors: Mapping[str, Stored],
    dtype: type | str | np.dtype | None = None,
) -> Params:
    """The parameters of `config`, by name and in the order of the forward pass.

    `dtype` is float32 or float64; None means float64 if any tensor is, else float32.
    Raises CheckpointError as `check_shapes` does.
    """
    if dtype is None:
        has_float64 = any(stored.dtype == "F64" for stored in tensors.values())
        dtype = np.float64 if has_float64 else np.float32
    wanted, shapes = checked_dtype(dtype), parameter_shapes(config)
    check_shapes(path, shapes, tensors)
    return {name: tensors[name].read(wanted) for name in shapes}


def check_shapes(
    path: Path, shapes: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Stored],
    linear: str = "(in, out)",
) -> None:
    """Raise CheckpointError naming every missing and unknown tensor, every wrong shape and dtype.

    `linear` is the order of a linear weight's axes in `shapes`.
    """
    problems = mismatches(shapes, tensors, linear)
    if problems:
        raise bad_file(path, *problems)


def mismatches(
    shapes: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Stored], linear: str = "(in, out)"
) -> list[str]:
    """Why `tensors` are not of these shapes: one phrase per kind of problem, see `check_shapes`."""
    missing = [name for name in shapes if name not in tensors]
    extra = [name for name in tensors if name not in shapes]
    common = [name for name in shapes if name in tensors]
    misshapen = [name for name in common if tensors[name].shape != shapes[name]]
    flipped = {
        name: None for name in misshapen
        if len(shapes[name]) == 2 and tensors[name].shape == shapes[name][::-1]
    }
    problems = []
    if missing:
        problems.append(f"missing: {named(missing)}")
    if extra:
        problems.append(f"unknown: {named(extra)}")
    if flipped:
        problems.append(f"transposed: {named(flipped)}; expected linear weights as {linear}")
        square = [
            name for name in common if re.search(r"\.\d+\.", f".{name}") and len(shapes[name]) == 2
            and shapes[name] == shapes[name][::-1] == tensors[name].shape
        ]
        if square:
            problems.append(f"these are square, so probably they are too: {named(square)}")
    by_shapes: dict[tuple[tuple[int, ...], tuple[int, ...]], list[str]] = {}
    for name in misshapen:
        if name not in flipped:
            by_shapes.setdefault((tensors[name].shape, shapes[name]), []).append(name)
    for (given, needed), names in by_shapes.items():
        problems.append(f"expected shape {needed}, got {shown(given)}: {named(names)}")
    by_dtype: dict[str, list[str]] = {}
    for name in common:
        if tensors[name].dtype not in FLOATS:
            by_dtype.setdefault(tensors[name].dtype, []).append(name)
    for kind, names in by_dtype.items():
        problems.append(f"expected dtype {', '.join(FLOATS)}, got {kind}: {named(names)}")
    return problems
