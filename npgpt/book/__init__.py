"""The book, replayed: S. Raschka, Build a Large Language Model (From Scratch), without PyTorch.

    from npgpt.book import GPT_CONFIG_124M, TorchGenerator, gpt2
    model = gpt2(GPT_CONFIG_124M, seed=123)     # the book's model, every parameter to the last bit

`npgpt book` prints every number of chapters 2 to 5 beside the one computed here.
"""

from .generator import TorchGenerator
from .initialise import GPT_CONFIG_124M, gpt2
from .replay import replay, replay_section, replay_training

__all__ = [
    "GPT_CONFIG_124M", "TorchGenerator", "gpt2", "replay", "replay_section", "replay_training",
]
