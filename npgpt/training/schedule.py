"""The learning rate of every step: linear warm-up, then a cosine down to the least.

    warm-up   lr * (step + 1) / (warmup_steps + 1)
    cosine    least + (lr - least) * (1 + cos(pi * done)) / 2      done: 0 to 1 of the decay

Steps count from 0, as in nanoGPT, whose convention this is.
"""

from __future__ import annotations

import math

from .settings import TrainSettings


def learning_rate(step: int, settings: TrainSettings) -> float:
    """The rate for update number `step`, counted from 0."""
    highest, least = settings.learning_rate, settings.min_learning_rate
    warmup = settings.warmup_steps
    end = settings.decay_steps or settings.max_steps
    if step < warmup:
        return highest * (step + 1) / (warmup + 1)
    if step >= end:
        return least
    done = (step - warmup) / (end - warmup)
    return least + (highest - least) * 0.5 * (1.0 + math.cos(math.pi * done))
