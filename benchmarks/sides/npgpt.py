"""npgpt's side of every comparison."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from npgpt import GPT2Config, __version__
from npgpt.fast.adamw import adamw_step, global_norm
from npgpt.fast.step import loss_and_grads
from npgpt.params import init_params

from ..sizes import ADAMW, CLIP, SIZES


def versions() -> dict[str, str]:
    """What takes part, and its version."""
    return {"npgpt": __version__, "numpy": np.__version__}


def prepare(work: str, size: str, **settings: Any) -> Callable[[], Any]:
    """A callable that does one repetition of the work."""
    return {"train": _train}[work](size, **settings)


def _train(size: str, **settings: Any) -> Callable[[], Any]:
    values, batch, length = SIZES[size]
    config = GPT2Config.from_dict({**values, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "resid_pdrop": 0.0})
    params = init_params(config)
    m = {name: np.zeros_like(p) for name, p in params.items()}
    v = {name: np.zeros_like(p) for name, p in params.items()}
    decays = {name for name, p in params.items() if p.ndim >= 2}
    ids, targets = np.random.default_rng(0).integers(0, config.vocab_size, (2, batch, length))
    step = 0

    def once() -> float:
        nonlocal step
        step += 1
        loss, grads = loss_and_grads(params, ids, targets, config, **settings)
        scale = min(1.0, CLIP / (global_norm(grads) + 1e-6))
        adamw_step(params, grads, m, v, step=step, decay_names=decays, grad_scale=scale, **ADAMW)
        return loss

    return once
