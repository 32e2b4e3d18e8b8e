"""Adapters: low-rank updates (LoRA) in a folder of their own, under the names of PEFT.

    FOLDER/adapter_model.safetensors    A and B of every updated weight, transposed as PEFT has them
    FOLDER/adapter_config.json          rank, alpha, which weights, and where the base model is

    base_model.model.transformer.h.0.attn.c_attn.lora_A.weight    (r, in)
    base_model.model.transformer.h.0.attn.c_attn.lora_B.weight    (out, r)

The base model is read from where adapter_config.json says, or `based_on` does, and stays as it is.
A classifier's head, which no base model has, is stored whole: PEFT's modules_to_save.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Callable, Iterator, Mapping

import numpy as np

from ..config import GPT2Config
from ..documents import read_json
from ..params import Params, parameter_shapes
from .assemble import mismatches
from .errors import CheckpointError, bad_file, shown
from .safetensors_file import read_safetensors, write_safetensors
from .stored import Stored

ADAPTER = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
SCORE = "score.weight"
_PREFIX = "base_model.model."
_LORA = re.compile(r"base_model\.model\.transformer\.(h\.\d+\..+)\.lora_([AB])\.weight")
_BASE = "base_model_name_or_path"
# fields of adapter_config.json that change no number here: how it was made, or how it is trained
_FREE = {
    "base_model_name_or_path", "fan_in_fan_out", "inference_mode", "lora_alpha", "lora_dropout",
    "megatron_core", "peft_version", "qalora_group_size", "r", "revision", "target_modules",
    "task_type", "use_rslora", "modules_to_save", "auto_mapping", "ensure_weight_tying",
    "exclude_modules", "layers_to_transform", "layers_pattern",
}
# the values that plain LoRA has; an initialisation by another name may change the base model
_PLAIN: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",), "bias": ("none",), "init_lora_weights": (True, False, "gaussian"),
}


_elsewhere: ContextVar[str] = ContextVar("elsewhere", default="")


@contextmanager
def based_on(base: Path | str | None, file: Path | None = None) -> Iterator[None]:
    """Inside, the base model of an adapter is that at `base`, if it is not None: it may have moved.

    Raises ValueError if the `file` that is to be read is not an adapter.
    """
    if base is None:
        yield
        return
    if base and file is not None and file.name != ADAPTER:
        raise ValueError(f"{file} is not an adapter, and has no base model to be named; leave "
                         f"{shown(str(base))} out")
    before = _elsewhere.set(str(base))
    try:
        yield
    finally:
        _elsewhere.reset(before)


def moved_to() -> str:
    """The base that `based_on` names, "" for none."""
    return _elsewhere.get()


def lasting(base: str) -> str:
    """A base model's place from any folder; a name stays a name."""
    return str(Path(base).resolve()) if Path(base).exists() else base


def is_update(name: str) -> bool:
    """Whether an adapter holds a parameter, and no base model: A, B, a classifier's head."""
    return name.endswith((".lora_A", ".lora_B")) or name == SCORE


def base_of(folder: Path) -> str:
    """The base model that an adapter's config names, or `based_on` does."""
    if moved := moved_to():
        return moved
    path = folder / ADAPTER_CONFIG
    base = read_json(path, CheckpointError).get(_BASE)
    if not isinstance(base, str) or not base:
        raise bad_file(path, f"{_BASE}: expected the base model's folder or name, "
                             f"got {shown(repr(base))}")
    return base


def save_adapter(folder: Path, config: GPT2Config, params: Params, base: str) -> None:
    """Write the low-rank updates of `params` into an existing folder, for the model at `base`."""
    write_updates(folder / ADAPTER, params)
    (folder / ADAPTER_CONFIG).write_text(adapter_config(config, params, base), encoding="utf-8")


def write_updates(path: Path, params: Params) -> None:
    """Write the low-rank updates of `params`, and a classifier's head, under PEFT's names."""
    write_safetensors(path, {
        _PREFIX + SCORE if name == SCORE else f"{_PREFIX}transformer.{name}.weight":
        array if name == SCORE else np.ascontiguousarray(array.T)
        for name, array in params.items() if is_update(name)}, {"format": "pt"})


def adapter_config(config: GPT2Config, params: Params, base: str) -> str:
    """The content of adapter_config.json."""
    targets = list(config.lora_targets) or sorted(
        {name.split(".")[-2] for name in params if name.endswith(".lora_A")})
    values = {
        "peft_type": "LORA", "task_type": "SEQ_CLS" if config.n_labels else "CAUSAL_LM",
        _BASE: base, "r": config.lora_rank, "lora_alpha": config.lora_scale * config.lora_rank,
        "target_modules": targets, "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": True,
        "init_lora_weights": True, "inference_mode": True,
        "modules_to_save": ["score"] if config.n_labels else None,
    }
    return json.dumps(values, indent=2) + "\n"


def load_adapter(
    file: Path,
    load: Callable[..., tuple[GPT2Config, Params]],
    dtype: type | str | np.dtype | None = None,
) -> tuple[GPT2Config, Params]:
    """The base model, read by `load`, with an adapter's updates beside its weights.

    Raises CheckpointError for what is not plain LoRA, naming it, and where the base is not found.
    """
    beside = file.with_name(ADAPTER_CONFIG)
    values, base = read_json(beside, CheckpointError), base_of(file.parent)
    tensors = read_safetensors(file)
    try:
        with based_on(""):      # whatever is there, it is not its own base
            config, params = load(base, dtype)
    except (CheckpointError, OSError) as error:
        raise bad_file(beside, f"its base model {shown(base)} cannot be read; name its place with "
                               f"--base, in Python base=: {error}") from None
    if config.lora_rank:
        raise bad_file(beside, f"its base model {base} has low-rank updates itself; fold them in "
                               f"with npgpt convert --merge")
    config = _with_updates(beside, config, values, tensors)
    shapes = {name: shape for name, shape in parameter_shapes(config).items() if is_update(name)}
    found = {_ours(name): (name, stored) for name, stored in tensors.items()}
    theirs = {found[name][0] if name in found else name:
              shape if name == SCORE else shape[::-1] for name, shape in shapes.items()}
    if problems := mismatches(theirs, tensors, "(r, in) and (out, r)"):
        raise bad_file(file, f"does not fit {ADAPTER_CONFIG} and its base model {shown(base)}",
                       *problems)
    kind = params["wte.weight"].dtype
    updates = {name: found[name][1].read(kind) for name in shapes}
    return config, {name: (updates[name] if name == SCORE else np.ascontiguousarray(
        updates[name].T)) if name in updates else params[name]
        for name in parameter_shapes(config)}


def _ours(name: str) -> str:
    found = _LORA.fullmatch(name)
    return f"{found[1]}.lora_{found[2]}" if found else name.removeprefix(_PREFIX)


def _with_updates(
    path: Path, config: GPT2Config, values: dict[str, object], tensors: Mapping[str, Stored]
) -> GPT2Config:
    """`config` with what an adapter_config.json says; CheckpointError unless that is plain LoRA."""
    problems = []
    for name, value in values.items():
        fits = _PLAIN.get(name)
        if value not in fits if fits else name not in _FREE and value:
            problems.append(f"{name}={shown(repr(value))} is not supported"
                            + (f", only {fits[0]!r} is" if fits else ""))
    saved, targets = values.get("modules_to_save"), values.get("target_modules")
    if saved and not (isinstance(saved, list) and "score" in saved
                      and set(saved) <= {"score", "classifier"}):
        problems.append(f"modules_to_save={shown(repr(saved))} is not supported, only score is")
    chosen = [values.get(name) for name in ("exclude_modules", "layers_to_transform")]
    if isinstance(targets, str) or any(value not in (None, [], "") for value in chosen):
        # a pattern, or a choice among layers: the tensors say what it came to
        targets = _updated(config, tensors)
    if not (isinstance(targets, list) and targets and all(isinstance(t, str) for t in targets)):
        problems.append(f"target_modules: expected a list of names, got {shown(repr(targets))}")
    rank, alpha = values.get("r"), values.get("lora_alpha")
    if type(rank) is not int or rank < 1:
        problems.append(f"r: expected an integer of at least 1, got {shown(repr(rank))}")
    if type(alpha) not in (int, float):
        problems.append(f"lora_alpha: expected a number, got {shown(repr(alpha))}")
    if problems:
        raise bad_file(path, *problems)
    assert isinstance(targets, list) and isinstance(rank, int)
    assert isinstance(alpha, (int, float))
    head = tensors.get(_PREFIX + SCORE)
    names = sorted(name.removeprefix("transformer.") for name in targets)
    try:
        return config.replace(
            lora_rank=rank, lora_on=",".join(names),
            # rank-stabilised: alpha over the root of r
            lora_alpha=float(alpha) * (math.sqrt(rank) if values.get("use_rslora") else 1.0),
            n_labels=head.shape[0] if head is not None and len(head.shape) == 2 else 0)
    except ValueError as error:
        raise bad_file(path, shown(str(error).replace("lora_on", "target_modules"))) from None


def _updated(config: GPT2Config, tensors: Mapping[str, Stored]) -> list[str]:
    """The names that lora_on needs for the updates among `tensors`: of all layers one name."""
    names = {found[1] for name in tensors if (found := _LORA.fullmatch(name))}
    layers: dict[str, set[str]] = {}
    for name in names:
        layers.setdefault(name.split(".", 2)[2], set()).add(name)
    return sorted(one for kind, those in layers.items()
                  for one in ([kind] if len(those) == config.n_layer else sorted(those)))
