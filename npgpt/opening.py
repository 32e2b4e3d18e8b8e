"""open_model: a model with its tokenizer, from a training run or from published weights."""

from __future__ import annotations

from pathlib import Path

from .checked import checked
from .gpt2 import GPT2
from .text import BPETokenizer, Tokenizer
from .training.checkpoint import is_run, read_model
from .weights import CheckpointError


@checked
def open_model(path: str | Path) -> tuple[GPT2, Tokenizer]:
    """A model and its tokenizer from a run, a checkpoint, or any published form of GPT-2.

    Weights that bring no tokenizer take GPT-2's, if their vocabulary is that large. Raises
    CheckpointError, saying what is wrong with which file.
    """
    path = Path(path)
    if is_run(path):
        config, params, tokenizer = read_model(path)
        return GPT2(config, params), tokenizer
    found = GPT2.load(path)
    tokenizer = BPETokenizer()
    if found.config.vocab_size < tokenizer.vocab_size:
        raise CheckpointError(
            f"{path} brings no tokenizer, and its vocabulary of {found.config.vocab_size} is "
            f"smaller than GPT-2's {tokenizer.vocab_size}"
        )
    return found, tokenizer
