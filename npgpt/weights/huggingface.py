"""Hugging Face's form: a folder of config.json and model.safetensors, whole or in shards.

Read: names with `transformer.` before them or without; mask buffers are passed over; a tied
model's `lm_head.weight` may be there or not; float16 and bfloat16 are widened.
Written: the names that transformers itself writes, so that it loads the folder as its own. The
variants that it does not know (no norms, slopes, gains, frozen biases, ...) are written in the same
form under npgpt's names: npgpt reads them back, transformers has no such models.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Mapping

import numpy as np

from ..config import GPT2Config
from ..params import Params
from .assemble import assemble, tied
from .configs import checked_config, found_config, published_size
from .errors import named, refusal, shown
from .safetensors_file import read_json, read_safetensors
from .stored import Stored

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PREFIX = "transformer."
BUFFER = re.compile(r"h\.\d+\.attn\.(masked_)?bias")

# other names of the same functions
ACTIVATIONS = {"gelu_pytorch_tanh": "gelu_new", "gelu_fast": "gelu_new", "swish": "silu",
               "linear": "identity"}
# fields that change the mathematics in a way npgpt does not have
UNSUPPORTED = {
    "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}


def read_tensors(path: Path) -> dict[str, Stored]:
    """The tensors of one .safetensors file, or of all the shards that an index names."""
    if not path.name.endswith(".index.json"):
        return read_safetensors(path)
    where = read_json(path).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise refusal(path, "has no weight_map")
    _check_shards(path, where)
    found: dict[str, Stored] = {}
    for shard in dict.fromkeys(where.values()):
        expected = {name for name in where if where[name] == shard}
        found.update(_shard(path.with_name(shard), expected))
    return found


def _check_shards(index: Path, where: Mapping[str, Any]) -> None:
    """Refuse an index that points anywhere but at files beside it, before one of them is opened."""
    entries: dict[str, list[str]] = {}
    for name, shard in where.items():
        if not isinstance(shard, str) or not re.fullmatch(r"[\w.-]+\.safetensors", shard):
            entries.setdefault(shown(repr(shard)), []).append(name)
    if entries:
        raise refusal(index, *(
            f"places {named(names)} in {shard}, which is no .safetensors file beside it"
            for shard, names in entries.items()
        ))
    absent = [shard for shard in dict.fromkeys(where.values())
              if not index.with_name(shard).is_file()]
    if absent:
        raise refusal(index, f"names {', '.join(map(shown, absent))}, which is not there")


def _shard(file: Path, expected: set[str]) -> dict[str, Stored]:
    tensors = read_safetensors(file)
    missing = sorted(expected - set(tensors))
    extra = [name for name in tensors if name not in expected]
    if missing or extra:
        problems = [f"lacks {named(missing)}"] if missing else []
        problems += [f"holds {named(extra)}, unknown to the index"] if extra else []
        raise refusal(file, *problems)
    return tensors


def canonical(path: Path, tensors: Mapping[str, Stored]) -> dict[str, Stored]:
    """The same tensors under bare names, without mask buffers."""
    result: dict[str, Stored] = {}
    for name, stored in tensors.items():
        bare = name.removeprefix(PREFIX)
        if BUFFER.fullmatch(bare):
            continue
        if bare in result:
            raise refusal(path, f"holds {shown(bare)} twice, with {PREFIX} and without")
        result[bare] = stored
    return result


def load_huggingface(
    path: Path, tensors: Mapping[str, Stored], dtype: type | str | np.dtype | None = None
) -> tuple[GPT2Config, Params]:
    """Config and parameters from `read_tensors(path)` and the config.json beside it."""
    found = canonical(path, tensors)
    values, source = found_config(path, _read_fields, lambda: dict(published_size(path, found)))
    # Hugging Face's default is tied; where no config.json speaks, equal numbers decide
    tie = values.get("tie_word_embeddings", None if source == path else True)
    values["tie_word_embeddings"] = tied(path, found, tie, source)
    config = checked_config(source, values)
    return config, assemble(path, config, found, dtype)


def read_config(path: Path) -> GPT2Config:
    """GPT2Config from a config.json of Hugging Face's or our own."""
    return checked_config(path, _read_fields(path))


def _read_fields(path: Path) -> dict[str, Any]:
    values = read_json(path)
    kind = values.get("model_type", "gpt2")
    if kind != "gpt2":
        raise refusal(path, f"describes a model of type {shown(repr(kind))}; npgpt runs gpt2")
    for name, needed in UNSUPPORTED.items():
        if values.get(name, needed) != needed:
            raise refusal(path, f"{name}={shown(values[name])} is not supported, only {needed}")
    activation = values.get("activation_function")
    if isinstance(activation, str) and activation in ACTIVATIONS:
        values["activation_function"] = ACTIVATIONS[activation]
    return values


def huggingface_names(params: Params) -> Params:
    """The parameters under the names that transformers writes."""
    return {
        name if name == "lm_head.weight" else PREFIX + name: array
        for name, array in params.items()
    }
