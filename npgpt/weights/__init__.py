"""GPT-2's weights in every published form: one way in, three ways out.

    config, params = load("gpt2-folder")          # the form is recognised
    save("my-model", config, params)              # a folder that transformers loads too
    convert("gpt2-folder", "gpt2_124M.bin", to="llmc")
"""

from .errors import CheckpointError
from .llmc import save_llmc, save_llmc_state
from .reading import load
from .writing import convert, save, save_book

__all__ = [
    "CheckpointError", "convert", "load", "save", "save_book", "save_llmc", "save_llmc_state",
]
