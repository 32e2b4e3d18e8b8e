"""llm.c's files: the model, and the debug state that its tests compare against.

Both start with 256 int32. Model: magic, version (3 float32, 5 bfloat16), context T, vocabulary V,
layers L, heads H, channels C, padded vocabulary Vp; then the tensors of TENSORS, each stacked over
the layers, linear weights (out, in), the token table padded with zero rows to Vp.
Debug state: magic, version 2, B, T; then x and y (B, T) int32, logits (B, T, V), the loss, and the
gradients in the order of the model's tensors, all float32.
Source: write_model and write_state in llm.c's train_gpt2.py.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO, Iterator, Mapping

import numpy as np

from ..config import GPT2Config
from ..params import Params
from ..tape import Array
from .assemble import assemble
from .configs import checked_config
from .errors import refusal
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
# what llm.c computes, and cannot be told otherwise
FIXED = {
    "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True,
    "norm": "layernorm", "final_norm": True, "qkv_bias": True, "frozen_biases": False,
    "weight_norm": False,
}


def magic_of(path: Path) -> int:
    """The first int32 of a file, by which llm.c's kinds are told apart."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(4), "little")


def load_llmc(
    path: Path, dtype: type | str | np.dtype | None = None
) -> tuple[GPT2Config, Params]:
    """Config and parameters of a model file."""
    file = MappedFile(path)
    if file.size < HEADER:
        raise refusal(path, f"is cut off: {file.size} bytes, the header alone has {HEADER}")
    header = np.frombuffer(file.bytes, "<i4", 256).tolist()
    magic, version, *numbers = header[:8]
    if magic != MODEL_MAGIC:
        what = "is llm.c's debug state" if magic == STATE_MAGIC else f"starts with {magic}"
        raise refusal(path, f"{what}; a model of llm.c starts with {MODEL_MAGIC}")
    if version not in VERSIONS:
        raise refusal(path, f"has version {version}; 3 (float32) and 5 (bfloat16) can be read")
    names = ("n_positions", "vocab_size", "n_layer", "n_head", "n_embd")
    config = checked_config(path, dict(zip(names, numbers)))
    padded = numbers[5]
    if padded < config.vocab_size:
        raise refusal(path, f"pads a vocabulary of {config.vocab_size} to {padded}")
    kind = VERSIONS[version]
    # the size is known from the header alone; checked before anything is taken
    size = {"F32": 4, "BF16": 2}[kind]
    needed = HEADER + size * sum(math.prod(shape) for _, shape in _layout(config, padded))
    if file.size != needed:
        raise refusal(path, f"has {file.size} bytes, its header asks for {needed}")
    return config, assemble(path, config, _tensors(file, config, padded, kind), dtype)


def _tensors(
    file: MappedFile, config: GPT2Config, padded: int, kind: str
) -> dict[str, Stored]:
    offset = HEADER
    found: dict[str, Stored] = {}
    for name, shape in _layout(config, padded):
        kept = (config.vocab_size, shape[1]) if name == "wte.weight" else shape
        stored = file.tensor(offset, kept, kind)
        found[name] = transposed(stored) if _is_linear(name) else stored
        offset += math.prod(shape) * {"F32": 4, "BF16": 2}[kind]
    return found


def _layout(config: GPT2Config, padded: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor with its stored shape, in the file's order."""
    c = config.n_embd
    shapes: dict[str, tuple[int, ...]] = {
        "wte.weight": (padded, c), "wpe.weight": (config.n_positions, c),
        "attn.c_attn.weight": (3 * c, c), "attn.c_attn.bias": (3 * c,),
        "attn.c_proj.weight": (c, c), "mlp.c_fc.weight": (4 * c, c), "mlp.c_fc.bias": (4 * c,),
        "mlp.c_proj.weight": (c, 4 * c),
    }
    for name in TENSORS:
        shape = shapes.get(name.removeprefix("h.{}."), (c,))
        for layer in range(config.n_layer if "{}" in name else 1):
            yield name.format(layer), shape


def _is_linear(name: str) -> bool:
    return name.startswith("h.") and name.endswith(("c_attn.weight", "c_proj.weight",
                                                    "c_fc.weight"))


def check_fits_llmc(config: GPT2Config) -> None:
    """Raise ValueError, naming all, where llm.c cannot compute what the config asks for."""
    wrong = [
        f"{name}={getattr(config, name)} (llm.c: {needed})" for name, needed in FIXED.items()
        if getattr(config, name) != needed
    ]
    if config.inner != 4 * config.n_embd:
        wrong.append(f"n_inner={config.n_inner} (llm.c: {4 * config.n_embd})")
    if wrong:
        raise ValueError(f"llm.c has no such model: {', '.join(wrong)}")


def llmc_size(config: GPT2Config) -> int:
    """Bytes of the float32 model file."""
    return HEADER + 4 * sum(math.prod(shape) for _, shape in _layout(config, _padded(config)))


def _padded(config: GPT2Config) -> int:
    return -(-config.vocab_size // PADDING) * PADDING


def write_llmc(file: BinaryIO, config: GPT2Config, params: Params) -> None:
    """Write a float32 model file (version 3); raises ValueError if llm.c has no such model."""
    check_fits_llmc(config)
    _write_header(file, [
        MODEL_MAGIC, 3, config.n_positions, config.vocab_size, config.n_layer, config.n_head,
        config.n_embd, _padded(config),
    ])
    _write_tensors(file, config, params)


def write_llmc_state(
    file: BinaryIO,
    config: GPT2Config,
    ids: Array,
    targets: Array,
    logits: Array,
    loss: float,
    grads: Mapping[str, Array],
) -> None:
    """Write a debug state: ids and targets (B, T), logits (B, T, V), gradients by name."""
    check_fits_llmc(config)
    batch, length = ids.shape
    _write_header(file, [STATE_MAGIC, STATE_VERSION, batch, length])
    rows = logits.reshape(batch * length, -1)
    for array, kind in ((ids, "<i4"), (targets, "<i4"), (rows, "<f4")):
        for piece in pieces(array, kind):
            file.write(piece)
    file.write(np.array(loss, "<f4").tobytes())
    _write_tensors(file, config, grads)


def read_llmc_state(path: Path, config: GPT2Config) -> dict[str, Any]:
    """A debug state of a model of this config: ids, targets, logits, loss and grads, writable."""
    file = MappedFile(path)
    if file.size < HEADER:
        raise refusal(path, f"is cut off: {file.size} bytes, the header alone has {HEADER}")
    magic, version, batch, length = np.frombuffer(file.bytes, "<i4", 4).tolist()
    if (magic, version) != (STATE_MAGIC, STATE_VERSION):
        raise refusal(
            path, f"starts with {magic}, {version}; a debug state starts with {STATE_MAGIC}, "
            f"{STATE_VERSION}"
        )
    tokens, vocab, padded = batch * length, config.vocab_size, _padded(config)
    at = HEADER + 4 * (2 * tokens + tokens * vocab + 1)
    needed = at + 4 * sum(math.prod(shape) for _, shape in _layout(config, padded))
    if batch < 1 or length < 1 or file.size != needed:
        raise refusal(path, f"has {file.size} bytes; B={batch}, T={length} and this config ask "
                      f"for {needed}")
    numbers = np.frombuffer(file.bytes, "<i4", 2 * tokens, HEADER).reshape(2, batch, length)
    logits = np.frombuffer(file.bytes, "<f4", tokens * vocab, HEADER + 8 * tokens)
    loss = np.frombuffer(file.bytes, "<f4", 1, at - 4)
    grads = {}
    for name, shape in _layout(config, padded):
        grad = np.frombuffer(file.bytes, "<f4", math.prod(shape), at).reshape(shape)
        at += grad.nbytes
        grads[name] = grad[:vocab] if name == "wte.weight" else grad.T if _is_linear(name) else grad
    return {
        "ids": numbers[0], "targets": numbers[1],
        "logits": logits.reshape(batch, length, vocab), "loss": float(loss[0]), "grads": grads,
    }


def _write_header(file: BinaryIO, numbers: list[int]) -> None:
    header = np.zeros(256, "<i4")
    header[:len(numbers)] = numbers
    file.write(header.tobytes())


def _write_tensors(file: BinaryIO, config: GPT2Config, tensors: Mapping[str, Array]) -> None:
    for name, shape in _layout(config, _padded(config)):
        array = tensors[name].T if _is_linear(name) else tensors[name]
        for piece in pieces(array, "<f4"):
            file.write(piece)
        if name == "wte.weight":
            file.write(bytes(4 * (shape[0] - config.vocab_size) * config.n_embd))


def pieces(array: Array, dtype: str) -> Iterator[memoryview]:
    """The bytes of an array, in C order and as `dtype`, a few megabytes at a time."""
    rows = array.reshape(1, -1) if array.ndim < 2 else array
    step = max(1, 2**20 // max(1, math.prod(rows.shape[1:])))
    for start in range(0, len(rows), step):
        yield np.ascontiguousarray(rows[start:start + step], dtype).data.cast("B")
