"""From a file's tensors to the parameters of a config; all mismatches are reported at once."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Mapping

import numpy as np

from ..config import GPT2Config
from ..ids import check_dtype
from ..params import Params, parameter_shapes
from .errors import bad_file, named, shown
from .stored import FLOATS, Stored, same


def tied(path: Path, tensors: dict[str, Stored], tie: object, source: Path) -> bool:
    """Whether the output matrix is the token table; drops a second copy of it from `tensors`.

    `tie` is tie_word_embeddings of the config file `source`; if it is None, equal numbers decide.
    """
    if tie is not None and not isinstance(tie, bool):
        raise bad_file(source, f"tie_word_embeddings={shown(tie)} must be true or false")
    head, wte = tensors.get("lm_head.weight"), tensors.get("wte.weight")
    if head is None or tie is False:
        return tie is not False
    if wte is not None and same(head, wte):
        del tensors["lm_head.weight"]
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
    faults: Mapping[str, str] = MappingProxyType({}),
) -> Params:
    """The parameters of `config`, by name and in the order of the forward pass.

    `dtype` is float32 or float64; None means float64 if any tensor is, else float32.
    `faults` are parameters that could not be assembled from the file, each with its message.
    Raises CheckpointError naming every missing and unknown tensor, every wrong shape and dtype.
    """
    wanted = check_dtype(dtype) if dtype is not None else _widest(tensors)
    shapes = parameter_shapes(config)
    problems = mismatches(shapes, tensors, faults)
    if problems:
        raise bad_file(path, *problems)
    return {name: tensors[name].read(wanted) for name in shapes}


def _widest(tensors: Mapping[str, Stored]) -> np.dtype:
    has_float64 = any(stored.dtype == "F64" for stored in tensors.values())
    return np.dtype(np.float64 if has_float64 else np.float32)


def mismatches(
    shapes: Mapping[str, tuple[int, ...]],
    tensors: Mapping[str, Stored],
    faults: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Why `tensors` cannot be parameters of these shapes: one phrase per kind of problem.

    `faults`: see `assemble`. Each is reported once, and not also as missing.
    """
    missing = [name for name in shapes if name not in tensors and name not in faults]
    extra = [name for name in (*tensors, *faults) if name not in shapes]
    common = [name for name in shapes if name in tensors]
    misshapen = [name for name in common if tensors[name].shape != shapes[name]]
    flipped = {
        name: None for name in misshapen
        if len(shapes[name]) == 2 and tensors[name].shape == shapes[name][::-1]
    }
    problems = list(dict.fromkeys(faults.values()))
    if missing:
        problems.append(f"missing: {named(missing)}")
    if extra:
        problems.append(f"unknown: {named(extra)}")
    if flipped:
        problems.append(
            f"transposed: {named(flipped)}; expected linear weights as (in, out), got (out, in)"
        )
        square = [
            name for name in common if name.startswith("h.") and len(shapes[name]) == 2
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
