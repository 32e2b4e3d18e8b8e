"""Writing text with a model: sampling, the KV cache, and the engine that drives them."""

from .engine import Completion, complete, generate, stream
from .sampling import Sampling
from .session import Session
from .stops import StopGuard
from .writer import Token
from .writing import converse, stream_text

__all__ = [
    "Completion", "Sampling", "Session", "StopGuard", "Token",
    "complete", "converse", "generate", "stream", "stream_text",
]
