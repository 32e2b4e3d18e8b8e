"""From a file's tensors to the parameters of a config; all that does not fit is named at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

import numpy as np

from ..config import GPT2Config
from ..params import Params, checked_dtype, parameter_shapes
from .errors import named, refusal, shown
from .stored import FLOATS, Stored, same


def tied(path: Path, tensors: dict[str, Stored], tie: Any) -> bool:
    """Whether the output matrix is the token table; drops a second copy of it from `tensors`.

    `tie` is what the config says as tie_word_embeddings; None, nothing: then equal numbers decide.
    """
    if tie is not None and not isinstance(tie, bool):
        raise refusal(path, f"tie_word_embeddings={shown(tie)} must be true or false")
    head, wte = tensors.get("lm_head.weight"), tensors.get("wte.weight")
    if head is None or tie is False:
        return tie is not False
    if wte is not None and same(head, wte):
        del tensors["lm_head.weight"]
        return True
    if tie is None:
        return False
    raise refusal(
        path, "the output matrix differs from the token table, but the config ties them; set "
        "tie_word_embeddings to false there to use it"
    )


def assemble(
    path: Path,
    config: GPT2Config,
    tensors: Mapping[str, Stored],
    dtype: type | str | np.dtype | None = None,
) -> Params:
    """The parameters of `config`, by name and in the order of the forward pass.

    `dtype` is float32 or float64; None keeps float64 if any tensor is, and else gives float32.
    Raises CheckpointError naming every missing and extra tensor, every wrong shape and type.
    """
    wanted = checked_dtype(dtype) if dtype is not None else _widest(tensors)
    shapes = parameter_shapes(config)
    problems = _problems(shapes, tensors)
    if problems:
        raise refusal(path, *problems)
    return {name: tensors[name].read(wanted) for name in shapes}


def _widest(tensors: Mapping[str, Stored]) -> np.dtype:
    has_float64 = any(stored.dtype == "F64" for stored in tensors.values())
    return np.dtype(np.float64 if has_float64 else np.float32)


def _problems(
    shapes: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Stored]
) -> list[str]:
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
        problems.append(
            f"transposed: {named(flipped)}; linear weights are (in, out) here, these are (out, in)"
        )
    by_shapes: dict[tuple[Any, Any], list[str]] = {}
    for name in misshapen:
        if name not in flipped:
            by_shapes.setdefault((tensors[name].shape, shapes[name]), []).append(name)
    for (given, needed), names in by_shapes.items():
        problems.append(f"shape {shown(given)} instead of {needed}: {named(names)}")
    by_dtype: dict[str, list[str]] = {}
    for name in common:
        if tensors[name].dtype not in FLOATS:
            by_dtype.setdefault(tensors[name].dtype, []).append(name)
    for kind, names in by_dtype.items():
        problems.append(f"dtype {kind} instead of {', '.join(FLOATS)}: {named(names)}")
    return problems
