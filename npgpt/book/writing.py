"""The book's way to let a model write: the likeliest token, or one drawn from the likeliest few."""

from __future__ import annotations

import numpy as np

from .. import model as _model
from ..gpt2 import GPT2
from ..ids import check_integer
from ..layers.contract import Array
from ..ops import TEXTBOOK as ops
from .generator import TorchGenerator


def write(
    model: GPT2, ids: Array, n: int,
    temperature: float = 0.0, top_k: int | None = None, rng: TorchGenerator | None = None,
) -> Array:
    """ids (T,) and n more, each predicted from as many tokens before it as the context holds.

    Temperature 0 takes the likeliest token. Otherwise `rng` draws one, after the scores below the
    k-th best were dropped and the rest divided by the temperature. Raises ValueError without it.
    """
    if temperature > 0 and rng is None:
        raise ValueError(f"temperature {temperature} draws random numbers: pass rng=")
    for _ in range(n):
        read = ids[None, -model.config.n_positions:]
        # the head for the last position alone: for all of them it would cost more than the blocks
        last = _model.hidden(model.params, read, model.config, ops=model.ops)[0, -1]
        scores = model.ops.unembedding(last, _model.head_weight(model.params, model.config))  # (V,)
        if temperature > 0 and rng is not None:
            probabilities = ops.softmax(keep_best(scores, top_k) / scores.dtype.type(temperature))
            (chosen,) = rng.multinomial(probabilities)
        else:
            chosen = scores.argmax()
        ids = np.append(ids, chosen)
    return ids


def keep_best(scores: Array, top_k: int | None) -> Array:
    """scores (V,) with all below the k-th best set to -inf; None keeps all, as does V or more."""
    if top_k is None or check_integer("top_k", top_k, 1) >= scores.size:
        return scores
    kth_best = np.sort(scores)[-top_k]
    return np.where(scores < kth_best, scores.dtype.type(-np.inf), scores)
