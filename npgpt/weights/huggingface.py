"""Hugging Face's form: a folder of config.json and model.safetensors, whole or in shards.

Read: names with or without the prefix `transformer.`; mask buffers are ignored; a tied model may or
may not have `lm_head.weight`; float16 and bfloat16 are widened.
Written: the names that transformers itself writes, so that it loads the folder as its own. Variants
that it does not have (no norms, slopes, gains, frozen biases, ...) are written in the same form
under npgpt's names, for npgpt alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Mapping

import numpy as np

from ..config import GPT2Config
from ..documents import read_json
from ..params import Params
from .assemble import assemble, tied
from .configs import check_keys, checked_config, found_config, published_size
from .errors import CheckpointError, bad_file, named, shown
from .safetensors_file import read_safetensors
from .stored import Stored

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PREFIX = "transformer."
BUFFER = re.compile(r"h\.\d+\.attn\.(masked_)?bias")

# transformers' other names for the same fields: its GPT2Config.attribute_map
ALIASES = {"hidden_size": "n_embd", "max_position_embeddings": "n_positions",
           "num_attention_heads": "n_head", "num_hidden_layers": "n_layer"}
# other names for the same functions
ACTIVATIONS = {"gelu_pytorch_tanh": "gelu_new", "gelu_fast": "gelu_new", "swish": "silu",
               "linear": "identity"}
# fields that change the mathematics, with the only value that npgpt supports
UNSUPPORTED = {
    "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}


def read_tensors(path: Path) -> dict[str, Stored]:
    """The tensors of one .safetensors file, or of all the shards that an index names."""
    if not path.name.endswith(".index.json"):
        return read_safetensors(path)
    found: dict[str, Stored] = {}
    for shard, expected in _shards(path).items():
        file = path.with_name(shard)
        tensors = read_safetensors(file)
        if missing := expected - set(tensors):
            raise bad_file(file, f"lacks {named(sorted(missing))}")
        if extra := set(tensors) - expected:
            raise bad_file(file, f"has {named(sorted(extra))}, which the index does not name")
        found.update(tensors)
    return found


def _shards(index: Path) -> dict[str, set[str]]:
    """An index's shards, each with its tensors; all must be files beside the index.

    Raises CheckpointError otherwise, before one of them is opened.
    """
    where = read_json(index, CheckpointError).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise bad_file(index, "has no weight_map")
    shards: dict[str, set[str]] = {}
    outside: dict[str, list[str]] = {}
    for name, shard in where.items():
        if isinstance(shard, str) and re.fullmatch(r"[\w.-]+\.safetensors", shard):
            shards.setdefault(shard, set()).add(name)
        else:
            outside.setdefault(shown(repr(shard)), []).append(name)
    if outside:
        raise bad_file(index, *(
            f"places {named(names)} in {shard}, which is not a .safetensors file beside it"
            for shard, names in outside.items()
        ))
    absent = [shown(shard) for shard in shards if not index.with_name(shard).is_file()]
    if absent:
        raise bad_file(index, f"names {', '.join(absent)}, which does not exist")
    return shards


def canonical(path: Path, tensors: Mapping[str, Stored]) -> dict[str, Stored]:
    """The same tensors under bare names, without mask buffers."""
    result: dict[str, Stored] = {}
    for name, stored in tensors.items():
        bare = name.removeprefix(PREFIX)
        if BUFFER.fullmatch(bare):
            continue
        if bare in result:
            raise bad_file(path, f"has {shown(bare)} twice, with {PREFIX} and without")
        result[bare] = stored
    return result


def load_huggingface(
    path: Path, tensors: Mapping[str, Stored], dtype: type | str | np.dtype | None = None
) -> tuple[GPT2Config, Params]:
    """Config and parameters from `read_tensors(path)` and the config.json beside it."""
    found = canonical(path, tensors)
    values, source = found_config(path, _read_fields, lambda: published_size(path, found))
    # Hugging Face's default is tied; without a config.json, equal numbers decide
    tie = values.get("tie_word_embeddings", None if source == path else True)
    values["tie_word_embeddings"] = tied(
        path, found, tie, source, "lm_head.weight", "wte.weight")
    config = checked_config(source, values)
    return config, assemble(path, config, found, dtype)


def read_config(path: Path) -> GPT2Config:
    """GPT2Config from a config.json, Hugging Face's or npgpt's."""
    return checked_config(path, _read_fields(path))


def _read_fields(path: Path) -> dict[str, object]:
    values = read_json(path, CheckpointError)
    for theirs, ours in ALIASES.items():
        if theirs in values:
            alias = values.pop(theirs)
            if values.setdefault(ours, alias) != alias:
                raise bad_file(path, f"{ours}={shown(values[ours])}, but {theirs}={shown(alias)}")
    check_keys(path, values, [*GPT2Config.options(), *UNSUPPORTED, "model_type"])
    kind = values.get("model_type", "gpt2")
    if kind != "gpt2":
        raise bad_file(path, f"model_type: expected 'gpt2', got {shown(repr(kind))}")
    for name, needed in UNSUPPORTED.items():
        if values.get(name, needed) != needed:
            raise bad_file(path, f"{name}={shown(values[name])} is not supported, only {needed} is")
    activation = values.get("activation_function")
    if isinstance(activation, str) and activation in ACTIVATIONS:
        values["activation_function"] = ACTIVATIONS[activation]
    return values


def huggingface_names(params: Params) -> Params:
    """The parameters under the names that transformers writes."""
    return {
        name if name in ("lm_head.weight", "score.weight") else PREFIX + name: array
        for name, array in params.items()
    }
