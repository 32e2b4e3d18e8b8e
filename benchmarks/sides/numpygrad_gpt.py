"""numpygrad's side: a step of its own GPT-2 example, in float64 as the example computes."""

from __future__ import annotations

import sys
from typing import Any, Callable

import numpy as np

from ..sizes import sized


def prepare(path: str, size: Any) -> Callable[[], Any]:
    """A callable that does one training step; `path` is a clone of numpygrad."""
    sys.path[:0] = [path, f"{path}/src"]
    import numpygrad
    from examples.gpt2.main import GPT2, GPT2Config

    values, batch, length = sized(size)
    model = GPT2(GPT2Config(
        context_size=values["n_positions"], num_blocks=values["n_layer"],
        num_heads=values["n_head"], embedding_dim=values["n_embd"],
        vocab_size=values["vocab_size"]))
    optimiser = numpygrad.optim.AdamW(model.parameters(), lr=1e-3)
    drawn = np.random.default_rng(0).integers(0, values["vocab_size"], (2, batch, length))
    ids, targets = (numpygrad.array(part) for part in drawn)

    def once() -> None:
        optimiser.zero_grad()
        numpygrad.nn.cross_entropy_loss(model(ids), targets).backward()
        optimiser.step()

    return once
