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
from ..documents import read_json
from ..params import Params, parameter_shapes
from ..tape import Array
from .assemble import assemble, is_linear, mismatches, tied
from .configs import check_keys, checked_config, differences, found_config, published_size
from .errors import CheckpointError, bad_file
from .stored import Stored, third, transposed

MARK = "tok_emb.weight"
BUFFER = re.compile(r"trf_blocks\.\d+\.att\.mask")
EMBEDDINGS = ("tok_emb.weight", "pos_emb.weight")
HEAD = "out_head.weight"

# our modules and the book's: q, k and v are one matrix here and three there
MODULES = {
    "wte": ("tok_emb",), "wpe": ("pos_emb",),
    "ln_1": ("norm1",), "attn.c_attn": ("att.W_query", "att.W_key", "att.W_value"),
    "attn.c_proj": ("att.out_proj",),
    "ln_2": ("norm2",), "mlp.c_fc": ("ff.layers.0",), "mlp.c_proj": ("ff.layers.2",),
    "ln_f": ("final_norm",), "lm_head": ("out_head",),
}
NORM_KINDS = {"weight": "scale", "bias": "shift"}
KEYS = {
    "vocab_size": "vocab_size", "context_length": "n_positions", "emb_dim": "n_embd",
    "n_heads": "n_head", "n_layers": "n_layer", "qkv_bias": "qkv_bias",
}


def book_names(ours: str) -> list[str]:
    """The book's names for one of our parameters, three for q, k and v; ours if it has none."""
    match = re.fullmatch(r"(?:h\.(\d+)\.)?(.+)\.(weight|bias)", ours)
    if match is None or match[2] not in MODULES:
        return [ours]
    block, module, kind = match.groups()
    if module.startswith("ln_"):
        kind = NORM_KINDS[kind]
    place = f"trf_blocks.{block}." if block else ""
    return [f"{place}{theirs}.{kind}" for theirs in MODULES[module]]


def load_book(
    path: Path, tensors: Mapping[str, Stored], dtype: type | str | np.dtype | None = None
) -> tuple[GPT2Config, Params]:
    """Config and parameters from the tensors of `path`, which have the book's names."""
    given = _apart({name: stored for name, stored in tensors.items()
                    if not BUFFER.fullmatch(name)})
    values, source = found_config(path, _read_keys, lambda: {
        **published_size(path, given, EMBEDDINGS),
        "qkv_bias": "trf_blocks.0.att.W_query.bias" in given,
    })
    tie = values.get("tie_word_embeddings")
    values["tie_word_embeddings"] = tied(path, given, tie, source, HEAD, MARK)
    config = checked_config(source, values)
    problems = mismatches(_books_shapes(config), given, "(out, in)")
    if problems:
        raise bad_file(path, *problems)
    found = {
        ours: _joined([transposed(given[name]) if is_linear(ours) else given[name]
                       for name in book_names(ours)])
        for ours in parameter_shapes(config)
    }
    return config, assemble(path, config, found, dtype)


def _books_shapes(config: GPT2Config) -> dict[str, tuple[int, ...]]:
    """Every tensor that the book has for this config, with its shape there."""
    result: dict[str, tuple[int, ...]] = {}
    for ours, (*first, last) in parameter_shapes(config).items():
        names = book_names(ours)
        part = (*first, last // len(names))
        result.update(dict.fromkeys(names, part[::-1] if is_linear(ours) else part))
    return result


def _apart(tensors: Mapping[str, Stored]) -> dict[str, Stored]:
    """The tensors with a fused qkv as three, as in most of the book's variants of attention."""
    result: dict[str, Stored] = {}
    for name, stored in tensors.items():
        before, fused, kind = name.partition(".att.qkv.")
        if fused and stored.shape and stored.shape[0] % 3 == 0:
            result |= {f"{before}.{module}.{kind}": third(stored, i)
                       for i, module in enumerate(MODULES["attn.c_attn"])}
        else:
            result[name.replace(".att.proj.", ".att.out_proj.")] = stored
    return result


def _joined(parts: Sequence[Stored]) -> Stored:
    """Query, key and value side by side; any other tensor as it is."""
    if len(parts) == 1:
        return parts[0]

    def read(wanted: np.dtype) -> Array:
        return np.concatenate([stored.read(wanted) for stored in parts], axis=-1)

    width = sum(stored.shape[-1] for stored in parts)
    return Stored((*parts[0].shape[:-1], width), parts[0].dtype, read)


def _read_keys(path: Path) -> dict[str, object]:
    values = read_json(path, CheckpointError)
    check_keys(path, values, [*KEYS, "drop_rate", "tie_word_embeddings"])
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
    wrong = differences(config, "the book")
    if len({config.resid_pdrop, config.embd_pdrop, config.attn_pdrop}) != 1:
        wrong.append("three different dropout rates (the book: one)")
    if wrong:
        raise ValueError(f"the book has no such model: {', '.join(wrong)}")
    return {
        **{theirs: getattr(config, ours) for theirs, ours in KEYS.items()},
        "drop_rate": config.resid_pdrop, "tie_word_embeddings": config.tie_word_embeddings,
    }


def book_tensors(params: Params) -> dict[str, Array]:
    """The parameters under the book's names, as views of the same memory, head included."""
    result: dict[str, Array] = {}
    for ours, array in {"lm_head.weight": params["wte.weight"], **params}.items():
        names = book_names(ours)
        if ours not in names:       # what serves training alone has no name there
            for name, part in zip(names, np.split(array, len(names), axis=-1)):
                result[name] = part.T if is_linear(ours) else part
    return result
