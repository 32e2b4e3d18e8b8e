"""From a file's tensors to the parameters of a config; all mismatches are reported at once."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Iterator, Mapping

import numpy as np

from ..config import GPT2Config
from ..ids import check_dtype
from ..params import Params, check_params, parameter_shapes
from ..tape import Array
from .errors import bad_file, named, shown
from .stored import FLOATS, Stored, same


def is_linear(name: str) -> bool:
    """Whether a parameter is a linear weight of GPT-2's, which the book and llm.c transpose."""
    return re.fullmatch(r"h\.\d+\.\w+\.c_\w+\.weight", name) is not None


def tied(
    path: Path, tensors: dict[str, Stored], tie: object, source: Path, head: str, table: str
) -> bool:
    """Whether the output matrix is the token table, which alone stays in `tensors` then.

    `tie` is tie_word_embeddings of the config file `source`; if it is None, equal numbers decide.
    `head` and `table` are the names of the two.
    """
    if tie is not None and not isinstance(tie, bool):
        raise bad_file(source, f"tie_word_embeddings={shown(tie)} must be true or false")
    if head not in tensors or tie is False:
        return tie is not False
    if table not in tensors:        # what safetensors writes of two names for one matrix
        tensors[table] = tensors.pop(head)
        return True
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
    Raises CheckpointError naming every missing and unknown tensor, every wrong shape and dtype.
    """
    return dict(unread(path, config, tensors, dtype))


class Unread(Mapping[str, Array]):
    """Parameters that are read from their file whenever one is asked for, and not held."""

    def __init__(self, tensors: Mapping[str, Stored], dtype: np.dtype) -> None:
        self._tensors, self._dtype = tensors, dtype

    def __getitem__(self, name: str) -> Array:
        return self._tensors[name].read(self._dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def unread(
    path: Path,
    config: GPT2Config,
    tensors: Mapping[str, Stored],
    dtype: type | str | np.dtype | None = None,
) -> Unread:
    """What `assemble` gives, checked as there, but not read yet."""
    if dtype is None:
        has_float64 = any(stored.dtype == "F64" for stored in tensors.values())
        dtype = np.float64 if has_float64 else np.float32
    wanted, shapes = check_dtype(dtype), parameter_shapes(config)
    problems = mismatches(shapes, tensors)
    if problems:
        raise bad_file(path, *problems)
    return Unread({name: tensors[name] for name in shapes}, wanted)


def mismatches(
    shapes: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Stored], linear: str = "(in, out)"
) -> list[str]:
    """Why `tensors` are not of these shapes: one phrase per kind of problem.

    `linear` is the order of a linear weight's axes in `shapes`.
    """
    by_problem: defaultdict[str, list[str]] = defaultdict(list)
    by_problem["missing"] = [name for name in shapes if name not in tensors]
    by_problem["unknown"] = [name for name in tensors if name not in shapes]
    transposed = f"transposed, expected linear weights as {linear}"
    square = []
    for name, needed in shapes.items():
        if name not in tensors:
            continue
        given, dtype = tensors[name].shape, tensors[name].dtype
        if given == needed[::-1] != needed:
            by_problem[transposed].append(name)
        elif given != needed:
            by_problem[f"expected shape {needed}, got {shown(given)}"].append(name)
        elif len(needed) == 2 and needed[0] == needed[1] and re.search(r"\.\d+\.", f".{name}"):
            square.append(name)
        if dtype not in FLOATS:
            by_problem[f"expected dtype {', '.join(FLOATS)}, got {dtype}"].append(name)
    if transposed in by_problem:
        by_problem["square, so probably transposed too"] = square
    return [f"{problem}: {named(names)}" for problem, names in by_problem.items() if names]


def check_savable(config: GPT2Config, params: Params) -> None:
    """Raise ValueError unless the parameters are those of the config, as floats."""
    check_params(config, params)
