"""npgpt: GPT-2 in NumPy, every gradient written by hand.

    from npgpt import GPT2, GPT2Config
    model = GPT2.init(GPT2Config(n_layer=2, n_head=2, n_embd=64), seed=0)
"""

from .config import GPT2Config
from .gpt2 import GPT2
from .tape import Op, Tape, TapeError, Var
from .version import VERSION as __version__

__all__ = ["GPT2", "GPT2Config", "Op", "Tape", "TapeError", "Var", "__version__"]
