"""AdamW: each parameter's step is its mean gradient over the root of its mean square.

    m = b1 * m + (1 - b1) * g           v = b2 * v + (1 - b2) * g * g
    mhat = m / (1 - b1^t)               vhat = v / (1 - b2^t)           t counts from 1
    p = p * (1 - lr * decay)            for matrices and tables only
    p = p - lr * mhat / (sqrt(vhat) + eps)

`adamw_reference` is that, word for word. Training runs the same formula in blocks that stay in the
processor's cache, `npgpt.training.step.adamw`, which is tested against it.

Source     Loshchilov, Hutter 2017, arXiv 1711.05101; decay groups as in GPT-2's training
"""

from __future__ import annotations

import math

import numpy as np

from ..params import Params
from .settings import TrainSettings
from .step.adamw import adamw_step, global_norm


def adamw_reference(
    params: Params, grads: Params, m: Params, v: Params, *,
    step: int, lr: float, betas: tuple[float, float], eps: float, weight_decay: float,
) -> None:
    """One update of params, m and v in place; step counts from 1."""
    beta1, beta2 = betas
    for name, p in params.items():
        g = grads[name]
        m[name][...] = beta1 * m[name] + (1 - beta1) * g
        v[name][...] = beta2 * v[name] + (1 - beta2) * g * g
        mhat = m[name] / (1 - beta1**step)
        vhat = v[name] / (1 - beta2**step)
        decay = weight_decay if decays(p) else 0.0
        p[...] = p * (1 - lr * decay) - lr * mhat / (np.sqrt(vhat) + eps)


def decays(parameter: np.ndarray) -> bool:
    """Whether weight decay applies: to matrices and tables, not to biases, norms and gains."""
    return parameter.ndim >= 2


def decaying(params: Params, slopes: bool = False) -> set[str]:
    """The names that weight decay applies to; `slopes` adds those of leaky ReLUs."""
    return {name for name, array in params.items()
            if decays(array) or (slopes and name.endswith(".slope"))}


def zero_moments(params: Params) -> Params:
    """Zeros of every parameter's shape and dtype."""
    return {name: np.zeros_like(array) for name, array in params.items()}


def update(
    params: Params, grads: Params, mean: Params, square: Params, *,
    step: int, lr: float, settings: TrainSettings, slope_decay: bool = False,
) -> float:
    """Clip the gradients to settings.grad_clip and take step number `step` (from 1), in place.

    `slope_decay` lets weight decay shrink the slopes of leaky ReLUs too. Returns the norm of all
    gradients before clipping. Where it is not finite nothing is changed.
    """
    norm = global_norm(grads)
    if not math.isfinite(norm):
        return norm
    clip = settings.grad_clip
    scale = min(1.0, clip / (norm + 1e-6)) if clip else 1.0
    adamw_step(
        params, grads, mean, square, step=step, lr=lr, betas=(settings.beta1, settings.beta2),
        eps=settings.adam_epsilon, weight_decay=settings.weight_decay, grad_scale=scale,
        decay_names=decaying(params, slope_decay),
    )
    return norm
