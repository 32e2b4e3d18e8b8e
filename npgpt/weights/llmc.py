"""llm.c's files: the model, and the debug state that its tests compare against (written only).

Both start with 256 int32. Model: magic, version (3 float32, 5 bfloat16), context T, vocabulary V,
layers L, heads H, channels C, padded vocabulary Vp; then the tensors of TENSORS, each stacked over
the layers, linear weights (out, in), the token table padded with zero rows to Vp.
Debug state: magic, version 2, B, T; then x and y (B, T) int32, logits (B, T, V), the loss, and the
gradients in the order of the model's tensors, all float32.
Source: write_model and write_state in llm.c's train_gpt2.py.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator, Mapping, Sequence

import numpy as np

from ..checked import checked
from ..config import GPT2Config
from ..files import check_room, place_of, replacing_file
from ..params import Params, parameter_shapes
from ..tape import Array
from .assemble import assemble, check_savable, is_linear
from .configs import checked_config, differences
from .errors import bad_file
from .safetensors_file import ITEM_SIZES
from .stored import MappedFile, Stored, transposed

MODEL_MAGIC, STATE_MAGIC = 20240326, 20240327
VERSIONS = {3: "F32", 5: "BF16"}
STATE_VERSION = 2
HEADER = 1024
PADDING = 128

TENSORS = (
    "wte.weight", "wpe.weight", "h.{}.ln_1.weight", "h.{}.ln_1.bias", "h.{}.attn.c_attn.weight",
    "h.{}.attn.c_attn.bias", "h.{}.attn.c_proj.weight", "h.{}.attn.c_proj.bias",
    "h.{}.ln_2.weight", "h.{}.ln_2.bias", "h.{}.mlp.c_fc.weight", "h.{}.mlp.c_fc.bias",
    "h.{}.mlp.c_proj.weight", "h.{}.mlp.c_proj.bias", "ln_f.weight", "ln_f.bias",
)


def load_llmc(
    path: Path, dtype: type | str | np.dtype | None = None
) -> tuple[GPT2Config, Params]:
    """Config and parameters of a model file; CheckpointError if it is not a sound one."""
    file = MappedFile(path)
    if file.size < HEADER:
        raise bad_file(path, f"is truncated: {file.size} bytes, the header alone has {HEADER}")
    header = np.frombuffer(file.bytes, "<i4", 256).tolist()
    magic, version, *numbers = header[:8]
    if magic != MODEL_MAGIC:
        what = ", llm.c's debug state" if magic == STATE_MAGIC else ""
        raise bad_file(path, f"expected llm.c's model magic {MODEL_MAGIC}, got {magic}{what}")
    if version not in VERSIONS:
        raise bad_file(path, f"expected version 3 (float32) or 5 (bfloat16), got {version}")
    names = ("n_positions", "vocab_size", "n_layer", "n_head", "n_embd")
    config = checked_config(path, dict(zip(names, numbers)))
    padded = numbers[5]
    if padded < config.vocab_size:
        raise bad_file(path, f"pads a vocabulary of {config.vocab_size} to {padded}")
    kind = VERSIONS[version]
    offset = HEADER
    found: dict[str, Stored] = {}
    for name, shape in _layout(config, padded).items():
        used = (config.vocab_size, shape[1]) if name == "wte.weight" else shape
        stored = file.tensor(offset, used, kind)
        found[name] = transposed(stored) if is_linear(name) else stored
        offset += math.prod(shape) * ITEM_SIZES[kind]
    # the header alone gives the size; nothing is allocated yet
    if file.size != offset:
        raise bad_file(path, f"its header asks for {offset} bytes, got {file.size}")
    return config, assemble(path, config, found, dtype)


def _layout(config: GPT2Config, padded: int) -> dict[str, tuple[int, ...]]:
    """Every tensor's stored shape, in the file's order.

    Raises ValueError, naming every reason, if llm.c has no such model.
    """
    wrong = differences(config, "llm.c", tie_word_embeddings=True, qkv_bias=True)
    if wrong:
        raise ValueError(f"llm.c has no such model: {', '.join(wrong)}")
    shapes = {**parameter_shapes(config), "wte.weight": (padded, config.n_embd)}
    names = [name.format(layer) for name in TENSORS
             for layer in range(config.n_layer if "{}" in name else 1)]
    return {name: shapes[name][::-1] if is_linear(name) else shapes[name] for name in names}


def _size(config: GPT2Config) -> int:
    shapes = _layout(config, _padded(config)).values()
    return HEADER + ITEM_SIZES["F32"] * sum(math.prod(shape) for shape in shapes)


def _padded(config: GPT2Config) -> int:
    return -(-config.vocab_size // PADDING) * PADDING


@checked
def save_llmc(path: Path | str, config: GPT2Config, params: Params) -> None:
    """Write llm.c's model file in float32; raises ValueError if llm.c has no such model."""
    check_savable(config, params)
    header = [
        MODEL_MAGIC, 3, config.n_positions, config.vocab_size, config.n_layer, config.n_head,
        config.n_embd, _padded(config),
    ]
    with _writing(path, header, _size(config)) as file:
        _write_tensors(file, config, params)


@checked
def save_llmc_state(
    path: Path | str,
    config: GPT2Config,
    ids: Array,
    targets: Array,
    logits: Array,
    loss: float,
    grads: Mapping[str, Array],
) -> None:
    """Write llm.c's debug state, with which its tests compare their own logits and gradients.

    ids and targets (B, T), logits (B, T, V), the mean loss, gradients by parameter name.
    """
    size = _size(config) + 4 * logits.size + 8 * ids.size
    with _writing(path, [STATE_MAGIC, STATE_VERSION, *ids.shape], size) as file:
        rows = logits.reshape(ids.size, -1)
        for array, kind in ((ids, "<i4"), (targets, "<i4"), (rows, "<f4")):
            _write(file, array, kind)
        file.write(np.array(loss, "<f4").tobytes())
        _write_tensors(file, config, grads)


def bin_file(path: Path | str) -> Path:
    """The path itself; ValueError if no file can be written there."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a .bin file")
    place_of(path)
    return path


@contextmanager
def _writing(path: Path | str, header: Sequence[int], size: int) -> Iterator[BinaryIO]:
    """A file of `size` bytes to write after its header; it replaces `path` once it is complete."""
    path = bin_file(path)
    check_room(path.parent, size)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(path) as beside, beside.open("wb") as file:
        numbers = np.zeros(256, "<i4")
        numbers[:len(header)] = header
        file.write(numbers.tobytes())
        yield file


def _write_tensors(file: BinaryIO, config: GPT2Config, tensors: Mapping[str, Array]) -> None:
    for name, shape in _layout(config, _padded(config)).items():
        _write(file, tensors[name].T if is_linear(name) else tensors[name], "<f4")
        if name == "wte.weight":
            file.write(bytes(4 * (shape[0] - config.vocab_size) * config.n_embd))


def _write(file: BinaryIO, array: Array, dtype: str) -> None:
    """Write an array in C order and as `dtype`, a few megabytes at a time."""
    step = max(1, 2**20 // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), step):
        file.write(np.ascontiguousarray(array[start:start + step], dtype).data)
