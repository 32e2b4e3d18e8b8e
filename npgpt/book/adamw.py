"""AdamW with PyTorch's order of operations, for the last digits of a replay.

npgpt.training.step.adamw has the formula, and a fast form of it. Neither rounds as PyTorch does,
and 90 steps of training multiply a rounding error: the book's texts need this order.

    p = p * (1 - lr * decay)
    m = m + (g - m) * (1 - b1)              v = v * b2 + g * g * (1 - b2)
    p = p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)          t counts from 1

Decay applies to every parameter, biases and norms too, as it does in PyTorch by default.

Source     Loshchilov, Hutter 2017, arXiv 1711.05101; the order is torch.optim.AdamW's
"""

from __future__ import annotations

import math

import numpy as np

from ..params import Params

BLOCK = 2**16       # elements updated at a time, so that the steps stay in the cache
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class AdamW:
    """The moments of all parameters, and a step that updates parameters and moments in place."""

    def __init__(self, params: Params, lr: float, weight_decay: float) -> None:
        self.params = params
        self.lr, self.weight_decay = lr, weight_decay
        self.steps = 0
        self._mean = {name: np.zeros_like(p).reshape(-1) for name, p in params.items()}
        self._square = {name: np.zeros_like(p).reshape(-1) for name, p in params.items()}

    def step(self, grads: Params) -> None:
        """One step along the gradients, given by parameter name."""
        self.steps += 1
        step_size = self.lr / (1 - BETA1**self.steps)
        correction = math.sqrt(1 - BETA2**self.steps)
        for name, param in self.params.items():
            flat, gradient = param.reshape(-1), grads[name].reshape(-1)
            for start in range(0, flat.size, BLOCK):
                part = slice(start, start + BLOCK)
                p, g = flat[part], gradient[part]
                m, v = self._mean[name][part], self._square[name][part]
                p *= 1 - self.lr * self.weight_decay
                m += (g - m) * (1 - BETA1)
                v *= BETA2
                v += g * g * (1 - BETA2)
                root = np.sqrt(v)
                root /= correction
                root += EPSILON
                p -= step_size * (m / root)
