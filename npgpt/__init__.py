"""npgpt: GPT-2 in NumPy, every gradient written by hand.

    import npgpt
    npgpt.load("gpt2").write("Every effort", max_new_tokens=20)

    from npgpt import GPT2, GPT2Config
    model = GPT2.init(GPT2Config(n_layer=2, n_head=2, n_embd=64), seed=0)

The names are found when they are first asked for (PEP 562): a small part loads a small part.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import EntropyPenalty, GPT2Config
    from .fast.ops import FAST
    from .gpt2 import GPT2
    from .opening import TextModel, load, open_model
    from .ops import TEXTBOOK, Ops
    from .tape import Op, Tape, TapeError, Var
    from .training.curves import plot
    from .version import VERSION as __version__

_HOMES = {
    "EntropyPenalty": "config", "GPT2Config": "config", "FAST": "fast.ops", "GPT2": "gpt2",
    "TextModel": "opening", "load": "opening", "open_model": "opening", "TEXTBOOK": "ops",
    "Ops": "ops", "Op": "tape", "Tape": "tape", "TapeError": "tape", "Var": "tape",
    "plot": "training.curves", "__version__": "version",
}

__all__ = [
    "EntropyPenalty", "FAST", "GPT2", "GPT2Config", "Op", "Ops", "TEXTBOOK", "Tape", "TapeError",
    "TextModel", "Var", "__version__", "load", "open_model", "plot",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f".{_HOMES[name]}", __name__)
    return getattr(module, "VERSION" if name == "__version__" else name)


def __dir__() -> list[str]:
    return __all__
