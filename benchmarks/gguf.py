"""GGUF files of random GPT-2 weights, float32 or Q8_0, for measuring llama.cpp.

Little-endian: magic, version 3, number of tensors and of keys; the keys; for each tensor its name,
shape (fastest dimension first), kind and offset; then the tensors, each at a multiple of 32. Q8_0
stores runs of 32 elements as one float16 scale and 32 int8. It has no tokenizer: a speed test needs
none.
Source: docs/gguf.md in ggml.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from npgpt import GPT2Config
from npgpt.params import init_params

ALIGNMENT, RUN = 32, 32
UINT32, FLOAT32, STRING = 4, 6, 8
KINDS = {"f32": 0, "q8_0": 8}
NAMES = {
    "wte.weight": "token_embd.weight", "wpe.weight": "position_embd.weight",
    "ln_f.weight": "output_norm.weight", "ln_f.bias": "output_norm.bias",
}
LAYER_NAMES = {
    "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
}


def write_gguf(path: Path, config: GPT2Config, kind: str) -> None:
    """Write a model of freshly drawn weights; kind is f32 or q8_0."""
    keys: list[tuple[str, Any]] = [
        ("general.architecture", "gpt2"), ("general.name", "random"),
        ("gpt2.context_length", config.n_positions), ("gpt2.embedding_length", config.n_embd),
        ("gpt2.block_count", config.n_layer), ("gpt2.feed_forward_length", config.inner),
        ("gpt2.attention.head_count", config.n_head),
        ("gpt2.attention.layer_norm_epsilon", config.layer_norm_epsilon),
        ("tokenizer.ggml.model", "no_vocab"), ("gpt2.vocab_size", config.vocab_size),
    ]
    tensors = [(_their_name(name), _theirs(name, array))
               for name, array in init_params(config).items()]
    # tied weights, written twice: not every version of llama.cpp finds them by the first name alone
    tensors.append(("output.weight", tensors[0][1]))
    head = [struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(keys))]
    head += [_text(key) + _value(value) for key, value in keys]
    offset = 0
    for name, array in tensors:
        stored = _kind(name, array, kind)
        shape = array.shape[::-1]
        head.append(_text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape,
                                              KINDS[stored], offset))
        offset += _aligned(_size(array.size, stored))
    with path.open("wb") as file:
        content = b"".join(head)
        file.write(content.ljust(_aligned(len(content)), b"\0"))
        for name, array in tensors:
            data = _bytes(array, _kind(name, array, kind))
            file.write(data.ljust(_aligned(len(data)), b"\0"))


def q8_0(array: np.ndarray) -> np.ndarray:
    """Runs of 32 elements: a float16 scale and 32 int8, as a structured array."""
    runs = np.ascontiguousarray(array, np.float32).reshape(-1, RUN)
    scale = np.abs(runs).max(axis=1, keepdims=True) / 127
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    out = np.empty(len(runs), np.dtype([("scale", "<f2"), ("values", "i1", RUN)]))
    out["scale"] = scale[:, 0]
    out["values"] = np.rint(runs * inverse)
    return out


def _their_name(name: str) -> str:
    if name in NAMES:
        return NAMES[name]
    _, layer, rest = name.split(".", 2)
    part, _, kind = rest.rpartition(".")
    return f"blk.{layer}.{LAYER_NAMES[part]}.{kind}"


def _theirs(name: str, array: np.ndarray) -> np.ndarray:
    # linear weights are (out, in) there
    return array.T if array.ndim == 2 and name.startswith("h.") else array


def _kind(name: str, array: np.ndarray, kind: str) -> str:
    # as llama.cpp's converter does: vectors and positions stay in float32
    return "f32" if array.ndim == 1 or name.startswith("position") else kind


def _size(count: int, kind: str) -> int:
    return 4 * count if kind == "f32" else count // RUN * (2 + RUN)


def _bytes(array: np.ndarray, kind: str) -> bytes:
    return (np.ascontiguousarray(array, "<f4") if kind == "f32" else q8_0(array)).tobytes()


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _text(value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    return struct.pack("<II", UINT32, value)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
