"""GPT-2's weights in every published form: one way in, four ways out.

    config, params = load("gpt2-folder")          # the form is recognised
    save("my-model", config, params)              # a folder that transformers loads too
    convert("gpt2-folder", "gpt2_124M.bin", to="llmc")

The names are found when they are first asked for, as npgpt's own: a model that is neither loaded
nor saved loads no reader of files.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import CheckpointError
    from .llmc import save_llmc, save_llmc_state
    from .reading import base_at, load
    from .writing import convert, save, save_book, save_peft

_HOMES = {
    "CheckpointError": "errors", "load": "reading", "base_at": "reading", "save_llmc": "llmc",
    "save_llmc_state": "llmc", "convert": "writing", "save": "writing", "save_book": "writing",
    "save_peft": "writing",
}

__all__ = [
    "CheckpointError", "base_at", "convert", "load", "save", "save_book", "save_llmc",
    "save_llmc_state", "save_peft",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
