"""The names and layout of Build a Large Language Model from Scratch, in safetensors.

Linear weights are (out, in); q, k and v are three matrices; the output head is a matrix of its own,
which for the published weights is a copy of the token table. The config.json beside the weights has
the book's keys; without one the four published sizes are recognised by their shapes.
Source: chapters 4 and 5 of the book.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from ..config import GPT2Config
from ..params import Params
from ..tape import Array
from .assemble import assemble, tied
from .configs import checked_config, found_config, published_size
from .errors import bad_file, named, shown
from .safetensors_file import read_json
from .stored import Stored, transposed

MARK = "tok_emb.weight"
BUFFER = re.compile(r"trf_blocks\.\d+\.att\.mask")

# the book's module in a block, and ours
BLOCK = {
    "norm1.scale": "ln_1.weight", "norm1.shift": "ln_1.bias", "att.out_proj": "attn.c_proj",
    "norm2.scale": "ln_2.weight", "norm2.shift": "ln_2.bias", "ff.layers.0": "mlp.c_fc",
    "ff.layers.2": "mlp.c_proj",
}
TOP = {
    "tok_emb.weight": "wte.weight", "pos_emb.weight": "wpe.weight",
    "final_norm.scale": "ln_f.weight", "final_norm.shift": "ln_f.bias",
    "out_head.weight": "lm_head.weight",
}
QKV = ("att.W_query", "att.W_key", "att.W_value")
# the book has one architecture
FIXED = {
    "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "norm": "layernorm",
    "final_norm": True, "frozen_biases": False, "weight_norm": False,
}
KEYS = {
    "vocab_size": "vocab_size", "context_length": "n_positions", "emb_dim": "n_embd",
    "n_heads": "n_head", "n_layers": "n_layer", "qkv_bias": "qkv_bias",
}


def load_book(
    path: Path, tensors: Mapping[str, Stored], dtype: type | str | np.dtype | None = None
) -> tuple[GPT2Config, Params]:
    """Config and parameters from the tensors of `path`, which have the book's names."""
    found, faults = _renamed(path, tensors)
    values, source = found_config(path, _read_keys, lambda: {
        **published_size(path, found), "qkv_bias": "h.0.attn.c_attn.bias" in {**found, **faults},
    })
    tie = values.get("tie_word_embeddings")
    values["tie_word_embeddings"] = tied(path, found, tie, source)
    config = checked_config(source, values)
    return config, assemble(path, config, found, dtype, faults)


def _renamed(
    path: Path, tensors: Mapping[str, Stored]
) -> tuple[dict[str, Stored], dict[str, str]]:
    """The tensors under our names; and a message for each that q, k and v do not add up to."""
    found: dict[str, Stored] = {}
    thirds: dict[str, dict[str, Stored]] = {}
    for name, stored in tensors.items():
        if BUFFER.fullmatch(name):
            continue
        ours, third = _canonical(name)
        if third:
            thirds.setdefault(ours, {})[third] = _in_out(stored)
        elif ours in found:
            raise bad_file(path, f"has {shown(ours)} twice, under the book's name and its own")
        else:
            found[ours] = _in_out(stored) if name.startswith("trf_blocks.") else stored
    missing: dict[str, list[str]] = {}
    faults: dict[str, str] = {}
    for ours, three in thirds.items():
        absent = [third for third in QKV if third not in three]
        shapes = [three[third].shape for third in QKV if third in three]
        if absent:
            missing[ours] = [_books_name(ours, third) for third in absent]
        elif len({(part.shape[:-1], part.dtype) for part in three.values()}) > 1 or not all(shapes):
            faults[ours] = f"{', '.join(QKV)} of {ours} have different shapes: {shown(shapes)}"
        else:
            found[ours] = _joined([three[third] for third in QKV])
    lacking = f"missing: {named(name for names in missing.values() for name in names)}"
    return found, {**dict.fromkeys(missing, lacking), **faults}


def _books_name(ours: str, third: str) -> str:
    """`h.1.attn.c_attn.weight` and its third -> `trf_blocks.1.att.W_key.weight`."""
    return ours.replace("h.", "trf_blocks.", 1).replace("attn.c_attn", third)


def _canonical(name: str) -> tuple[str, str]:
    """Our name for one of the book's, and which third of it, if it is one of q, k and v."""
    block = re.fullmatch(r"trf_blocks\.(\d{1,6})\.(.+)", name)
    if block is None:
        return TOP.get(name, name), ""
    layer, rest = f"h.{block.group(1)}", block.group(2)
    module, _, kind = rest.rpartition(".")
    if rest in BLOCK:
        return f"{layer}.{BLOCK[rest]}", ""
    if kind in ("weight", "bias"):
        if module in BLOCK:
            return f"{layer}.{BLOCK[module]}.{kind}", ""
        if module in QKV:
            return f"{layer}.attn.c_attn.{kind}", module
    return name, ""


def _in_out(stored: Stored) -> Stored:
    return transposed(stored) if len(stored.shape) == 2 else stored


def _joined(three: Sequence[Stored]) -> Stored:
    """Query, key and value side by side."""

    def read(wanted: np.dtype) -> Array:
        return np.concatenate([stored.read(wanted) for stored in three], axis=-1)

    width = sum(stored.shape[-1] for stored in three)
    return Stored((*three[0].shape[:-1], width), three[0].dtype, read)


def _read_keys(path: Path) -> dict[str, object]:
    values = read_json(path)
    missing = [key for key in KEYS if key not in values]
    if missing:
        raise bad_file(path, f"lacks the book's keys {', '.join(missing)}")
    result = {ours: values[theirs] for theirs, ours in KEYS.items()}
    if "drop_rate" in values:
        rate = values["drop_rate"]
        result.update(resid_pdrop=rate, embd_pdrop=rate, attn_pdrop=rate)
    if "tie_word_embeddings" in values:
        result["tie_word_embeddings"] = values["tie_word_embeddings"]
    return result


def book_config(config: GPT2Config) -> dict[str, object]:
    """The book's config dict; raises ValueError, naming every reason, if it has no such model."""
    wrong = [
        f"{name}={getattr(config, name)} (the book: {needed})" for name, needed in FIXED.items()
        if getattr(config, name) != needed
    ]
    if config.inner != 4 * config.n_embd:
        wrong.append(f"n_inner={config.n_inner} (the book: {4 * config.n_embd})")
    if len({config.resid_pdrop, config.embd_pdrop, config.attn_pdrop}) != 1:
        wrong.append("three different dropout rates (the book: one)")
    if wrong:
        raise ValueError(f"the book has no such model: {', '.join(wrong)}")
    return {
        **{theirs: getattr(config, ours) for theirs, ours in KEYS.items()},
        "drop_rate": config.resid_pdrop, "tie_word_embeddings": config.tie_word_embeddings,
    }


def book_names(config: GPT2Config, params: Params) -> dict[str, Array]:
    """The parameters under the book's names, as views of the same memory, head included."""
    result = {theirs: params[ours] for theirs, ours in TOP.items() if ours in params}
    result.setdefault("out_head.weight", params["wte.weight"])
    for layer in range(config.n_layer):
        h, block = f"h.{layer}", f"trf_blocks.{layer}"
        for kind in ("weight", "bias"):
            joined = params.get(f"{h}.attn.c_attn.{kind}")
            if joined is not None:
                for name, part in zip(QKV, np.split(joined, 3, axis=-1)):
                    result[f"{block}.{name}.{kind}"] = part.T
        for theirs, ours in BLOCK.items():
            if f"{h}.{ours}" in params:
                result[f"{block}.{theirs}"] = params[f"{h}.{ours}"]
            else:
                for kind in ("weight", "bias"):
                    result[f"{block}.{theirs}.{kind}"] = params[f"{h}.{ours}.{kind}"].T
    return result
