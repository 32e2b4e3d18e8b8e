"""open_model: a model with its tokenizer, from a training run or from published weights."""

from __future__ import annotations

from pathlib import Path

from .checked import checked
from .gpt2 import GPT2
from .text import Tokenizer
from .training.initial import read_any


@checked
def open_model(path: str | Path) -> tuple[GPT2, Tokenizer]:
    """A model and its tokenizer from a run, a checkpoint, or any published form of GPT-2.

    Weights that bring no tokenizer take GPT-2's, if their vocabulary is that large. Raises
    CheckpointError, saying what is wrong with which file.
    """
    config, params, tokenizer = read_any(Path(path))
    return GPT2(config, params), tokenizer
