"""From a file's tensors to the parameters of a config; all that does not fit is named at once."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any, Mapping

import numpy as np

from ..config import GPT2Config
from ..params import Params, checked_dtype, parameter_shapes
from .errors import named, refusal, shown
from .stored import FLOATS, Stored, same


def tied(path: Path, tensors: dict[str, Stored], tie: Any, source: Path) -> bool:
    """Whether the output matrix is the token table; drops a second copy of it from `tensors`.

    `tie` is what the config in the file `source` says as tie_word_embeddings; None, nothing: then
    equal numbers decide.
    """
    if tie is not None and not isinstance(tie, bool):
        raise refusal(source, f"tie_word_embeddings={shown(tie)} must be true or false")
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
        f"tie_word_embeddings to false in {source.name} to use it"
    )


def assemble(
    path: Path,
    config: GPT2Config,
    tensors: Mapping[str, Stored],
    dtype: type | str | np.dtype | None = None,
    faults: Mapping[str, str] = MappingProxyType({}),
) -> Params:
    """The parameters of `config`, by name and in the order of the forward pass.

    `dtype` is float32 or float64; None keeps float64 if any tensor is, and else gives float32.
    `faults` are parameters that could not be put together from the file, and what to say of them.
    Raises CheckpointError naming every missing and extra tensor, every wrong shape and type.
    """
    wanted = checked_dtype(dtype) if dtype is not None else _widest(tensors)
    shapes = parameter_shapes(config)
    problems = misfits(shapes, tensors, faults)
    if problems:
        raise refusal(path, *problems)
    return {name: tensors[name].read(wanted) for name in shapes}


def _widest(tensors: Mapping[str, Stored]) -> np.dtype:
    has_float64 = any(stored.dtype == "F64" for stored in tensors.values())
    return np.dtype(np.float64 if has_float64 else np.float32)


def misfits(
    shapes: Mapping[str, tuple[int, ...]],
    tensors: Mapping[str, Stored],
    faults: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """What keeps `tensors` from being parameters of these shapes, a phrase a kind; [] if nothing.

    `faults` as for `assemble`: said once each, and not told as missing again.
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
            f"transposed: {named(flipped)}; linear weights are (in, out) here, these are (out, in)"
        )
        square = [
            name for name in common if name.startswith("h.") and len(shapes[name]) == 2
            and shapes[name] == shapes[name][::-1] == tensors[name].shape
        ]
        if square:
            problems.append(f"square ones cannot be told, probably they too: {named(square)}")
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
