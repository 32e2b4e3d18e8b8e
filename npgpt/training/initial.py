"""What a run begins with: parameters that are drawn, or those of a trained model (fine-tuning)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .. import weights
from ..config import GPT2Config
from ..ids import check_dtype, check_integer
from ..params import Params, init_params, parameter_shapes
from ..suggest import shown
from ..text import Tokenizer
from ..weights.peft import based_on
from ..weights.reading import file_at, tokenizer_for
from .checkpoint import is_run, read_model, weights_of
from .frozen import frozen_names
from .held_out import model_checkpoint, opened_checkpoint
from .settings import DERIVED, RunConfig, Table, build

# model settings that a run may choose although its weights are another model's
FREE = ("resid_pdrop", "embd_pdrop", "attn_pdrop")
# what a run may add to a model that has none
ADDED = ("lora_rank", "lora_alpha", "lora_on", "n_labels")
# and what it may have less of
CROPPED = "n_positions"
# tokens of a sequence where none are asked for: a CPU takes long for 1024
LENGTH = 256


def read_any(
    path: Path, base: Path | str | None = None
) -> tuple[GPT2Config, Params, Tokenizer]:
    """A model from a run, a checkpoint, or any published form of GPT-2.

    Weights have the tokenizer that lies with them, or else GPT-2's, if their vocabulary is that
    large. `base` is where an adapter's base model is, if not where its adapter_config.json says.
    Raises CheckpointError, saying what is wrong with which file.
    """
    if is_run(path):
        folder = opened_checkpoint(path)
        with based_on(base, weights_of(folder)):
            return read_model(folder)
    with based_on(base, file_at(path)):
        config, params = weights.load(path)
        return config, params, tokenizer_for(path, config)


def fitted(run: RunConfig, asked: Table) -> tuple[RunConfig, Tokenizer]:
    """`run` with the architecture and the tokenizer of the model that it begins with.

    `asked` are the settings, by key, that a user gave himself. Raises ValueError for one that the
    model does not fit, and CheckpointError as `read_any`.
    """
    path = Path(run.train.init_from)
    config, _, tokenizer = read_any(path)
    has = {key: value for key, value in config.to_dict().items() if key not in DERIVED}
    chosen = {key: run.model[key] for key in FREE}
    chosen |= {key: run.model[key] for key in ADDED if run.model[key] and not has[key]}
    chosen |= {key: asked[key] for key in (CROPPED,) if key in asked}
    for key, value in {**has, "tokenizer": tokenizer.name}.items():
        if key not in asked or asked[key] == value or key in FREE or (key in ADDED and not value):
            continue
        if key == CROPPED and config.n_positions > check_integer(key, asked[key], 1):
            continue
        raise ValueError(f"{key}={shown(asked[key])} does not fit {path}, which has "
                         f"{shown(value)}; leave it out")
    narrow = min(config.n_embd, config.inner)
    if chosen.get("lora_rank", 0) > narrow:
        raise ValueError(f"lora_rank={chosen['lora_rank']} is above {narrow}, the smaller side of "
                         f"the weights; expected far less, such as 8")
    data = replace(run.data, tokenizer=tokenizer.name)
    length = run.train.sequence_length or min(LENGTH, chosen.get(CROPPED, config.n_positions))
    train = replace(run.train, init_from=_lasting(path), sequence_length=length)
    fits = build(RunConfig(data, has | chosen, train).to_dict())
    frozen_names(fits, fits.model_config(config.vocab_size))
    return fits, tokenizer


def _lasting(path: Path) -> str:
    """A model's place from any folder, of a run a checkpoint; a name stays a name."""
    if is_run(path):
        path = model_checkpoint(path)
    return str(path.resolve()) if path.exists() else str(path)


def initial_params(run: RunConfig, config: GPT2Config, tokenizer: Tokenizer) -> Params:
    """The parameters of step 0, free to be changed.

    What a model to begin with lacks is drawn: low-rank updates, a classifier's head; of more
    positions than the run has the first remain. Raises ValueError where the run's config or
    tokenizer is not that of the model it begins with.
    """
    if not run.train.init_from:
        return init_params(config, run.train.seed, run.train.dtype)
    found, params, theirs = read_any(Path(run.train.init_from))
    free = (*FREE, *(key for key in ADDED if not getattr(found, key)), CROPPED)
    if (config != found.replace(**{key: getattr(config, key) for key in free})
            or config.n_positions > found.n_positions):
        raise ValueError(f"the model settings are not those of {run.train.init_from}")
    if tokenizer.fingerprint != theirs.fingerprint:
        raise ValueError(f"the text's tokens are not those of {run.train.init_from}; "
                         f"expected its tokenizer")
    dtype = check_dtype(run.train.dtype)
    params["wpe.weight"] = params["wpe.weight"][:config.n_positions]
    drawn = init_params(config, run.train.seed, dtype, only=lambda name: name not in params)
    return {name: drawn[name] if name in drawn else params[name].astype(dtype)
            for name in parameter_shapes(config)}
