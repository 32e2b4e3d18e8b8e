"""Writing text with a model: sampling, the KV cache, and the engine that drives them.

From tokens to text that can be shown, and conversations: `npgpt.generation.writing`, which is not
imported here, since it needs the tokenizers.
"""

from .engine import Completion, complete, generate, stream
from .sampling import Sampling
from .session import Session
from .stops import StopGuard
from .writer import Token

__all__ = [
    "Completion", "Sampling", "Session", "StopGuard", "Token",
    "complete", "generate", "stream",
]
