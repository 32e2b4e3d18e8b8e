"""The config that belongs to weights: from config.json, from their header, or by their size."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Callable, Iterable, Mapping, Sequence

from ..config import SIZES, GPT2Config
from ..documents import parse_json
from ..suggest import did_you_mean
from ..variants import settings
from .errors import CheckpointError, bad_file, shown
from .safetensors_file import read_metadata
from .stored import Stored

# a larger number in a config is forged; checked before anything is allocated or counted for it
LARGEST = {
    "vocab_size": 2**31, "n_positions": 2**31, "n_inner": 2**31, "n_embd": 2**20, "n_head": 2**20,
    "n_layer": 2**14,
}
# GPT-2 as the book and llm.c have it, of npgpt's variants
PLAIN = {
    "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "norm": "layernorm",
    "final_norm": True, "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False,
    "frozen_biases": False, "weight_norm": False, "lora_rank": 0, "residual": True,
    "n_labels": 0,
}
EMBEDDINGS = ("wte.weight", "wpe.weight")
CONFIG = "config.json"
# of two keys, one of them mistyped; no key of transformers' own is as like to one of GPT-2's
ALIKE = 0.8
END_OF_TEXT = 50256     # the token that begins and ends a text in GPT-2's vocabulary
ENDS = ("bos_token_id", "eos_token_id")
PAD = "pad_token_id"
# under this name the files that npgpt writes have the config in their header too
METADATA = "npgpt.config"
# fields that may be changed in config.json, since they only affect training
# the model_type of a config.json whose model transformers does not have
OWN_TYPE = "npgpt"
LEAKY_SLOPE = 0.01      # of torch.nn.LeakyReLU, which learns none
SLOPES = ("leaky_slope", "slope_init")
THEIR_ACTIVATIONS = {"identity": "linear"}
FREE = ("resid_pdrop", "embd_pdrop", "attn_pdrop", "initializer_range", "scale_residual_init",
        "slope_decay", "entropy_tolerance", "entropy_target")


def write_config(
    path: Path, config: GPT2Config, others: Mapping[str, object] | None = None,
    labels: Sequence[str] = (),
) -> None:
    """Write a Hugging Face config.json; `others` are keys of its that GPT2Config does not have.

    `labels` are a classifier's, by default LABEL_0, LABEL_1, ..., as in transformers.

    Of a model that transformers computes, npgpt's own settings are left out where they are plain
    GPT-2's. Any other has a model_type of npgpt's own, which transformers rejects.
    """
    others = others or {}
    # left out, transformers would take 50256 for any vocabulary
    end = END_OF_TEXT if ENDS[1] not in others and config.vocab_size > END_OF_TEXT else None
    known = not lacking(config)
    head = "ForSequenceClassification" if config.n_labels else "LMHeadModel"
    values, standard = config.to_dict(), GPT2Config().to_dict()
    if known:
        for name in settings():
            if values[name] == standard[name]:
                del values[name]
    content = {
        "model_type": "gpt2" if known else OWN_TYPE,
        "architectures": [f"{'GPT2' if known else 'Npgpt'}{head}"],
        **dict.fromkeys(ENDS, end), **others, **values,
    }
    if config.n_labels:
        names = labels or [f"LABEL_{i}" for i in range(config.n_labels)]
        content["num_labels"] = config.n_labels
        content["id2label"] = {str(i): name for i, name in enumerate(names)}
        content["label2id"] = {name: i for i, name in enumerate(names)}
        content.setdefault(PAD, content[ENDS[1]])     # or transformers takes no batch
    content["activation_function"] = THEIR_ACTIVATIONS.get(
        config.activation_function, config.activation_function)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_labels(path: Path, config: GPT2Config) -> tuple[str, ...]:
    """A classifier's labels from a config.json; their numbers where it has no names for them."""
    names = parse_json(path.read_bytes(), path, CheckpointError).get("id2label") if (
        path.is_file()) else None
    found = names if isinstance(names, dict) else {}
    return tuple(str(found.get(str(i), i)) for i in range(config.n_labels))


def lacking(config: GPT2Config) -> list[str]:
    """What of a model transformers' GPT-2 does not have, as setting=value; [] if it has all."""
    standard = GPT2Config().to_dict()
    values = config.to_dict()
    wrong = [f"{name}={values[name]}" for name in settings()
             if values[name] != standard[name] and name not in (*FREE, *SLOPES, "n_labels")]
    if config.activation_function == "leaky_relu":
        wanted = {"leaky_slope": "fixed", "slope_init": LEAKY_SLOPE}
        wrong += [f"{name}={values[name]}" for name in wanted if values[name] != wanted[name]]
    if config.activation_function == "swiglu":
        wrong.append("activation_function=swiglu")
    return wrong


def checked_config(path: Path, values: Mapping[str, object]) -> GPT2Config:
    """GPT2Config from the values in a file; raises CheckpointError if they are invalid.

    n_head must be among them: the shapes of the weights do not show it.
    """
    if "n_head" not in values:
        raise bad_file(path, "lacks n_head, the number of attention heads; add it")
    for name, most in LARGEST.items():
        value = values.get(name)
        if type(value) is int and value > most:
            raise bad_file(path, f"{name}={shown(value)}: expected at most {most}")
    try:
        return GPT2Config.from_dict(values, ignore_unknown=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise bad_file(path, shown(str(error))) from None


def found_config(
    path: Path,
    read_beside: Callable[[Path], dict[str, object]],
    derive: Callable[[], dict[str, object]],
) -> tuple[dict[str, object], Path]:
    """Config fields for the weights at `path`, and the file that they come from.

    From the config.json beside the weights, read by `read_beside`, and what that lacks from the
    header of a file that npgpt wrote; without either by `derive`. Raises CheckpointError if the two
    describe models that compute different things: the config.json may belong to another file.
    """
    beside, written = path.with_name(CONFIG), written_config(path)
    if not beside.exists():
        return (written or derive()), path
    values = read_beside(beside)
    differing = [
        f"{name}={_like(values[name], written[name])} (written with {shown(written[name])})"
        for name in values
        if name in written and name not in FREE and values[name] != written[name]
    ]
    if differing:
        raise bad_file(
            beside, f"describes another model than {path.name}: {', '.join(differing)}; correct "
            "it, or delete it to use the config of the weights"
        )
    return {**written, **values}, beside


def _like(value: object, written: object) -> str:
    # the string "2" is not the number 2
    return shown(value if type(value) is type(written) else repr(value))


def check_keys(
    path: Path, values: Mapping[str, object], known: Iterable[str], harmless: Iterable[str] = ()
) -> None:
    """Raise CheckpointError for a key that may change the numbers and that npgpt does not read.

    That is any but the `known` and the `harmless`, with a value; one that may stand for a known one
    that is missing is named with that.
    """
    known, harmless = list(known), set(harmless)
    absent = [key for key in known if key not in values]
    others = []
    for key in values:
        meant = "" if key in known or key in harmless else did_you_mean(key, absent, ALIKE)
        if meant:
            raise bad_file(path, f"unknown key {shown(key)}{meant}")
        off = values[key] is False or values[key] in (None, {}, [])
        if key not in known and key not in harmless and not off:
            others.append(f"{shown(key)}={shown(values[key])}")
    if others:
        raise bad_file(path, f"unknown {'keys' if len(others) > 1 else 'key'} {', '.join(others)}: "
                       "npgpt does not have what it asks for; delete it if it changes no number")


def written_config(path: Path) -> dict[str, object]:
    """The config fields in the header of a .safetensors file, {} if npgpt did not write it."""
    inside = read_metadata(path).get(METADATA) if path.suffix == ".safetensors" else None
    return {} if inside is None else parse_json(
        inside.encode(), f"{path}: its {METADATA}", CheckpointError)


def differences(config: GPT2Config, whose: str, **also: object) -> list[str]:
    """How a config differs from plain GPT-2, and in what `also` asks for; one phrase each."""
    wrong = [
        f"{name}={getattr(config, name)} ({whose}: {needed})"
        for name, needed in {**PLAIN, **also}.items() if getattr(config, name) != needed
    ]
    if config.inner != 4 * config.n_embd:
        wrong.append(f"n_inner={config.n_inner} ({whose}: {4 * config.n_embd})")
    return wrong


def published_size(
    path: Path, tensors: Mapping[str, Stored], embeddings: tuple[str, str] = EMBEDDINGS
) -> dict[str, object]:
    """Config fields for weights that come without a config, if they are of a published size.

    The shapes do not show the number of heads, but that of the four sizes is known. Raises
    CheckpointError for any other shape. `embeddings` are the names of the two tables.
    """
    blocks = (re.match(r"(?:h|trf_blocks)\.(\d{1,4})\.", name) for name in tensors)
    layers = 1 + max((int(block.group(1)) for block in blocks if block), default=-1)
    wte, wpe = (tensors[name].shape if name in tensors else () for name in embeddings)
    for size in SIZES.values():
        if len(wte) == len(wpe) == 2 and (layers, wte[1]) == (size["n_layer"], size["n_embd"]):
            return {**size, "vocab_size": wte[0], "n_positions": wpe[0]}
    raise bad_file(
        path, "has no config.json beside it, and the weights do not show n_head; place one there"
    )
