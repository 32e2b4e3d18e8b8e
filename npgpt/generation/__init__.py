"""Writing text with a model: sampling, the KV cache, and what drives them.

From tokens to text that can be shown, and conversations: `npgpt.generation.writing`, which is not
imported here, since it needs the tokenizers.
"""

from .language_model import Completion, LanguageModel
from .sampling import Sampling
from .session import Session
from .stops import StopGuard
from .writer import Token

__all__ = [
    "Completion", "LanguageModel", "Sampling", "Session", "StopGuard", "Token",
]
