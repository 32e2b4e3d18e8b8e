"""Hugging Face's form: a folder of config.json and model.safetensors, whole or in shards.

Read: names with or without the prefix `transformer.`, or those of torch's wrappers; mask buffers
are left out; a tied model may have `wte.weight`, `lm_head.weight` or both; float16 and bfloat16 are
widened. A key of config.json that npgpt does not know is rejected: it may change the numbers.
Written: the names that transformers itself writes, so that it loads the folder as its own. Variants
that it does not have (no norms, slopes, gains, frozen biases, ...) are written in the same form
under npgpt's names, for npgpt alone: their model_type is npgpt, so that transformers says that it
does not have it.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Mapping

import numpy as np

from ..config import GPT2Config
from ..documents import read_json
from ..params import Params
from .assemble import assemble, tied
from .configs import LEAKY_SLOPE, OWN_TYPE, check_keys, checked_config, found_config, published_size
from .errors import CheckpointError, bad_file, named, shown
from .safetensors_file import read_safetensors
from .stored import Stored

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PREFIX = "transformer."
# torch.compile's, DataParallel's and the model's own, in whatever order they were wrapped
PREFIXES = ("_orig_mod.", "module.", PREFIX)
BUFFER = re.compile(r"h\.\d+\.attn\.(masked_)?bias")
HEAD, TABLE, SCORE = "lm_head.weight", "wte.weight", "score.weight"
# what was trained on top of a GPT-2 to classify, answer or rank; transformers leaves it out too
OTHER_HEADS = re.compile(
    r"(score|classifier|qa_outputs|multiple_choice_head|summary|v_head|value_head)\.")

# transformers' other names for the same fields: its GPT2Config.attribute_map
ALIASES = {"hidden_size": "n_embd", "max_position_embeddings": "n_positions",
           "num_attention_heads": "n_head", "num_hidden_layers": "n_layer"}
# other names for the same functions; gelu_fast is the same up to the constant's last digits
ACTIVATIONS = {
    "gelu_pytorch_tanh": "gelu_new", "gelu_python_tanh": "gelu_new", "gelu_fast": "gelu_new",
    "gelu_accurate": "gelu_new", "gelu_python": "gelu", "swish": "silu", "linear": "identity",
}
# fields that change the mathematics, with the only value that npgpt supports
UNSUPPORTED = {"add_cross_attention": False, "is_encoder_decoder": False, "pretraining_tp": 1}
# fields that do not change the numbers, in one version of transformers or another: names and
# tokens, what a model returns, how text is drawn from it, heads that npgpt leaves out
HARMLESS = frozenset("""
    _attn_implementation _attn_implementation_autoset _commit_hash _name_or_path _num_labels
    additional_special_tokens architectures attention_dropout attn_implementation auto_map
    bad_words_ids begin_suppress_tokens bos_token_id chunk_size_feed_forward decoder_start_token_id
    diversity_penalty do_sample dropout dtype early_stopping encoder_no_repeat_ngram_size
    eos_token_id exponential_decay_length_penalty finetuning_task forced_bos_token_id
    forced_eos_token_id gradient_checkpointing id2label initializer_factor is_decoder
    keys_to_ignore_at_inference label2id length_penalty line_by_line max_length min_length
    model_type n_ctx n_special no_repeat_ngram_size num_beam_groups num_beams num_labels
    num_return_sequences output_attentions output_hidden_states output_past output_scores
    pad_token_id predict_special_tokens prefix problem_type remove_invalid_values
    reorder_and_upcast_attn repetition_penalty return_dict return_dict_in_generate sep_token_id
    summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj
    suppress_tokens task_specific_params temperature tf_legacy_loss tie_encoder_decoder
    tokenizer_class top_k top_p torch_dtype torchscript transformers_version typical_p
    unsloth_version use_bfloat16 use_cache use_return_dict xla_device
""".split())


def read_tensors(path: Path, mapped: bool = True) -> dict[str, Stored]:
    """The tensors of one .safetensors file, or of all the shards that an index names."""
    if not path.name.endswith(".index.json"):
        return read_safetensors(path, mapped)
    found: dict[str, Stored] = {}
    for shard, expected in _shards(path).items():
        file = path.with_name(shard)
        tensors = read_safetensors(file, mapped)
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


def bare(name: str) -> str:
    """A tensor's name without the prefixes that wrappers put before it."""
    while prefix := next((prefix for prefix in PREFIXES if name.startswith(prefix)), ""):
        name = name.removeprefix(prefix)
    return HEAD if name == "lm_head.decoder.weight" else name


def canonical(path: Path, tensors: Mapping[str, Stored]) -> dict[str, Stored]:
    """The same tensors under bare names, without mask buffers."""
    result: dict[str, Stored] = {}
    for given, stored in tensors.items():
        name = bare(given)
        if BUFFER.fullmatch(name):
            continue
        if name in result:
            raise bad_file(path, f"has {shown(name)} twice, under two prefixes")
        result[name] = stored
    return result


def load_huggingface(
    path: Path, tensors: Mapping[str, Stored], dtype: type | str | np.dtype | None = None
) -> tuple[GPT2Config, Params]:
    """Config and parameters from `read_tensors(path)` and the config.json beside it."""
    config, found = described(path, tensors)
    return config, assemble(path, config, found, dtype)


def described(
    path: Path, tensors: Mapping[str, Stored]
) -> tuple[GPT2Config, dict[str, Stored]]:
    """The config, and the tensors by npgpt's names, not read yet.

    A UserWarning names the heads of classifiers and the like that are left out: what is loaded is
    the language model below them.
    """
    found = canonical(path, tensors)
    values, source = found_config(path, _read_fields, lambda: published_size(path, found))
    # Hugging Face's default is tied; without a config.json, equal numbers decide
    tie = values.get("tie_word_embeddings", None if source == path else True)
    values["tie_word_embeddings"] = tied(path, found, tie, source, HEAD, TABLE)
    config = checked_config(source, values)
    if source != path:
        _check_sizes(source, config, found)
    others = [name for name in found
              if OTHER_HEADS.match(name) and not (config.n_labels and name == SCORE)]
    if others:
        warnings.warn(f"{path}: {named(others)} left out: a head for another task; the language "
                      "model below it is loaded", stacklevel=2)
    return config, {name: stored for name, stored in found.items() if name not in others}


def _check_sizes(source: Path, config: GPT2Config, found: Mapping[str, Stored]) -> None:
    """Raise CheckpointError where a config file says another size than the tensors have."""
    problems = []
    blocks = {int(match[1]) for match in (re.match(r"h\.(\d{1,5})\.", name) for name in found)
              if match}
    if 0 < len(blocks) != config.n_layer and blocks == set(range(len(blocks))):
        problems.append(f"says n_layer={config.n_layer}, the file has {len(blocks)} blocks")
    for field, name in (("vocab_size", TABLE), ("n_positions", "wpe.weight")):
        shape = found[name].shape if name in found else ()
        if len(shape) == 2 and shape[0] != getattr(config, field) and shape[1] == config.n_embd:
            problems.append(f"says {field}={getattr(config, field)}, {name} has {shape[0]} rows")
    if problems:
        raise bad_file(source, *problems)


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
    check_keys(path, values, [*GPT2Config.options(), *UNSUPPORTED, "model_type"], HARMLESS)
    kind = values.get("model_type", "gpt2")
    if kind not in ("gpt2", OWN_TYPE):
        raise bad_file(path, f"model_type: expected 'gpt2', got {shown(repr(kind))}")
    for name, needed in UNSUPPORTED.items():
        if values.get(name, needed) != needed:
            raise bad_file(path, f"{name}={shown(values[name])} is not supported, only {needed} is")
    activation = values.get("activation_function")
    if isinstance(activation, str) and activation in ACTIVATIONS:
        values["activation_function"] = ACTIVATIONS[activation]
    if activation == "leaky_relu" and "leaky_slope" not in values:
        values |= {"leaky_slope": "fixed", "slope_init": LEAKY_SLOPE}
    return values


def huggingface_names(params: Params) -> Params:
    """The parameters under the names that transformers writes."""
    return {
        name if name in (HEAD, SCORE) else PREFIX + name: array
        for name, array in params.items()
    }
