"""The small GPT-2 that both sides score, with GPT-2's whole vocabulary and random weights."""

import numpy as np

from npgpt import GPT2, GPT2Config

from ..generation.lively import lively

CONFIG = GPT2Config(n_positions=64, n_embd=16, n_layer=2, n_head=2)


def harness_model() -> GPT2:
    """Always the same weights, in float32."""
    return GPT2(CONFIG, lively(CONFIG, dtype=np.float32))
