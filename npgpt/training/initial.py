"""What a run begins with: parameters that are drawn, or those of a trained model (fine-tuning)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .. import weights
from ..config import GPT2Config
from ..ids import check_dtype
from ..params import Params, init_params, parameter_shapes
from ..suggest import shown
from ..text import BPETokenizer, Tokenizer
from ..weights import CheckpointError
from .checkpoint import is_run, read_model
from .settings import DERIVED, RunConfig, Table, build

# model settings that a run may choose although its weights are another model's
FREE = ("resid_pdrop", "embd_pdrop", "attn_pdrop")


def read_any(path: Path) -> tuple[GPT2Config, Params, Tokenizer]:
    """A model from a run, a checkpoint, or any published form of GPT-2.

    Weights that bring no tokenizer take GPT-2's, if their vocabulary is that large. Raises
    CheckpointError, saying what is wrong with which file.
    """
    if is_run(path):
        return read_model(path)
    config, params = weights.load(path)
    tokenizer = BPETokenizer()
    if config.vocab_size < tokenizer.vocab_size:
        raise CheckpointError(
            f"{path} brings no tokenizer, and its vocabulary of {config.vocab_size} is "
            f"smaller than GPT-2's {tokenizer.vocab_size}"
        )
    return config, params, tokenizer


def fitted(run: RunConfig, asked: Table) -> tuple[RunConfig, Tokenizer]:
    """`run` with the architecture and the tokenizer of the model that it begins with.

    `asked` are the settings, by key, that a user gave himself. Raises ValueError for one that the
    model does not fit, and CheckpointError as `read_any`.
    """
    path = Path(run.train.init_from)
    config, _, tokenizer = read_any(path)
    has = {key: value for key, value in config.to_dict().items() if key not in DERIVED}
    for key, value in {**has, "tokenizer": tokenizer.name}.items():
        if key in asked and key not in FREE and asked[key] != value:
            raise ValueError(f"{key}={shown(asked[key])} does not fit init_from: {path} has "
                             f"{shown(value)}; leave it out")
    model = has | {key: asked[key] for key in FREE if key in asked}
    data = replace(run.data, tokenizer=tokenizer.name)
    length = run.train.sequence_length
    if "sequence_length" not in asked:      # the preset's; the model may have fewer positions
        length = min(length, config.n_positions)
    train = replace(run.train, init_from=str(path.resolve()), sequence_length=length)
    return build(RunConfig(data, model, train).to_dict()), tokenizer


def initial_params(run: RunConfig, config: GPT2Config, tokenizer: Tokenizer) -> Params:
    """The parameters of step 0, free to be changed.

    Raises ValueError where the run's config or tokenizer is not that of the model it begins with.
    """
    if not run.train.init_from:
        return init_params(config, run.train.seed, run.train.dtype)
    found, params, theirs = read_any(Path(run.train.init_from))
    if config != found.replace(**{key: getattr(config, key) for key in FREE}):
        raise ValueError(f"the model settings are not those of {run.train.init_from}")
    if tokenizer.to_dict() != theirs.to_dict():
        raise ValueError(f"the text's tokens are not those of {run.train.init_from}; "
                         f"expected its tokenizer")
    dtype = check_dtype(run.train.dtype)
    return {name: params[name].astype(dtype) for name in parameter_shapes(config)}
