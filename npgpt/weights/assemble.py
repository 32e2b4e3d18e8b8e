"""From a file's tensors to the parameters of a config; all that does not fit is named at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Mapping

import numpy as np

from ..config import SIZES, GPT2Config
from ..params import Params, checked_dtype, parameter_shapes
from .errors import named, refusal, shown
from .safetensors_file import parsed_json, read_metadata
from .stored import FLOATS, Stored, same

# beyond these a number in a config is a forgery; checked before anything is counted up to it
LARGEST_COUNT = 2**31
LARGEST_WIDTH = 2**20
LARGEST_DEPTH = 2**14
EMBEDDINGS = ("wte.weight", "wpe.weight")
CONFIG = "config.json"
# under this name the config is also noted in the header of the files that npgpt writes
METADATA = "npgpt.config"
# fields that anyone may change in config.json: they touch training only
FREE = ("resid_pdrop", "embd_pdrop", "attn_pdrop", "initializer_range", "scale_residual_init")


def checked_config(path: Path, values: Mapping[str, Any]) -> GPT2Config:
    """GPT2Config from values found in a file; raises CheckpointError where they make no model."""
    widths = ("n_embd", "n_head")
    for name in ("vocab_size", "n_positions", "n_inner", "n_layer", *widths):
        value = values.get(name)
        most = LARGEST_WIDTH if name in widths else LARGEST_COUNT
        most = LARGEST_DEPTH if name == "n_layer" else most
        if type(value) is int and value > most:
            raise refusal(path, f"{name}={shown(value)} is more than any model has ({most})")
    try:
        return GPT2Config.from_dict(values, ignore_unknown=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise refusal(path, shown(str(error))) from None


def found_config(
    path: Path, read_beside: Callable[[Path], dict[str, Any]], derive: Callable[[], dict[str, Any]]
) -> tuple[dict[str, Any], Path]:
    """Config fields for the weights at `path`, and the file that they come from.

    From the config.json beside the weights, read by `read_beside`; else from the header of a file
    that npgpt wrote; else by `derive`. Raises CheckpointError where the first two describe models
    that compute different things: one folder's config.json may belong to another file.
    """
    beside = path.with_name(CONFIG)
    inside = read_metadata(path).get(METADATA) if path.suffix == ".safetensors" else None
    written = {} if inside is None else parsed_json(path, inside.encode(), f"{METADATA} note")
    if not beside.is_file():
        return (written or derive()), path
    values = read_beside(beside)
    differing = [
        f"{name}={shown(values[name])} (written with {shown(written[name])})"
        for name in values
        if name in written and name not in FREE and values[name] != written[name]
    ]
    if differing:
        raise refusal(
            beside, f"describes another model than {path.name}: {', '.join(differing)}; correct it, "
            "or delete it to use what the weights say"
        )
    return values, beside


def published_size(path: Path, tensors: Mapping[str, Stored]) -> dict[str, int]:
    """Config fields for weights that come without a config, if they are of a published size.

    The number of heads cannot be read off the weights, but those of the four sizes are known.
    Raises CheckpointError for any other shape.
    """
    blocks = (re.match(r"h\.(\d{1,4})\.", name) for name in tensors)
    layers = 1 + max((int(block.group(1)) for block in blocks if block), default=-1)
    wte, wpe = (tensors[name].shape if name in tensors else () for name in EMBEDDINGS)
    for size in SIZES.values():
        if len(wte) == len(wpe) == 2 and (layers, wte[1]) == (size["n_layer"], size["n_embd"]):
            return {**size, "vocab_size": wte[0], "n_positions": wpe[0]}
    raise refusal(
        path, "no config.json is beside it, and the weights do not tell n_head; place one there"
    )


def tied(path: Path, tensors: dict[str, Stored], tie: object, key: str) -> bool:
    """Whether the output matrix is the token table; drops a second copy of it from `tensors`.

    `tie` is what the config says, None if it says nothing: then equal numbers decide. `key` is how
    the config beside `path` names it, for the message.
    """
    head, wte = tensors.get("lm_head.weight"), tensors.get("wte.weight")
    if head is None or tie is False:
        return tie is not False
    equal = wte is not None and same(head, wte)
    if tie is None and not equal:
        return False
    if not equal:
        raise refusal(
            path, f"the output matrix differs from the token table, but the config ties them; set "
            f"{key} to false there to use it"
        )
    del tensors["lm_head.weight"]
    return True


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
    flipped = [
        name for name in misshapen
        if len(shapes[name]) == 2 and tensors[name].shape == shapes[name][::-1]
    ]
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
