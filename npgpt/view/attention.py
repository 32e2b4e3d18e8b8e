"""Attention of every layer and head: the weights, their gradient, and what each head does."""

from __future__ import annotations

import math

import numpy as np

from ..layers.attention import split_heads
from ..probe.entropy import causal_bound, sink_weight, uniform_sink
from ..tape import Array
from .encoding import Json, encoded
from .flow import rms
from .tracing import Traced


def attention(seen: Traced, exact: bool) -> list[Json]:
    """Weights and their gradient (H, T, T) of every layer, and a summary of every head."""
    found = []
    with np.errstate(all="ignore"):
        for layer, inside in enumerate(seen.attention):
            weights = inside["weights"]
            dweights = _gradient_of_weights(seen, layer)
            contributions = _contributions(seen, layer)
            found.append({
                "layer": layer, "weights": encoded(weights, exact, triangle=True),
                "dweights": encoded(dweights, exact, triangle=True),
                "lse": encoded(_log_sums(inside), exact),
                "heads": [_head(*each) for each in zip(weights, dweights, contributions)],
            })
    return found


def row_entropies(weights: Array) -> Array:
    """Entropy in nats (H, T) of every row of weights (H, T, T); a NaN stays a NaN."""
    wide = weights.astype(np.float64)
    out: Array = 0.0 - (wide * np.log(np.where(wide == 0.0, 1.0, wide))).sum(axis=-1)
    return out


def entropy(seen: Traced, training: Json | None, exact: bool) -> Json:
    """Entropy of every head and position beside its causal bound; `training` as a run logged it."""
    with np.errstate(all="ignore"):
        nats = np.stack([row_entropies(inside["weights"]) for inside in seen.attention])
    return {"bound": causal_bound(seen.length),
            "row_bounds": [math.log(i + 1) for i in range(seen.length)],
            "nats": encoded(nats, exact), "heads": encoded(nats.mean(axis=-1), exact),
            "uniform_first": uniform_sink(seen.length), "training": training}


def entropy_of_training(records: list[Json]) -> Json | None:
    """What a watched run's log has of entropy; None if it was not watched."""
    watched = [(record["step"], record["watch"]["entropy"]) for record in records
               if "entropy" in record.get("watch", {})]
    if not watched:
        return None
    return {"steps": [step for step, _ in watched], "bound": watched[0][1]["bound"],
            "nats": [each["nats"] for _, each in watched]}


def _gradient_of_weights(seen: Traced, layer: int) -> Array:
    dmixed = seen.steps[f"h.{layer}.attn.mixed"].gradient
    v = seen.attention[layer]["v"]                                  # (H, T, D)
    if dmixed is None:
        return np.zeros((*v.shape[:2], v.shape[1]), v.dtype)
    dheads = split_heads(dmixed, len(v))[0]
    return np.tril(dheads @ v.swapaxes(-1, -2))                     # (H, T, T)


def _log_sums(inside: dict[str, Array]) -> Array:
    """Log of the sum of exp(scores) of every row (H, T)."""
    q, k = inside["q"], inside["k"]
    scores = (q @ k.swapaxes(-1, -2)) / math.sqrt(q.shape[-1])
    scores = np.where(np.tri(scores.shape[-1], dtype=bool), scores, -np.inf)
    top = scores.max(axis=-1, keepdims=True)
    out: Array = (top + np.log(np.exp(scores - top).sum(axis=-1, keepdims=True)))[..., 0]
    return out


def _contributions(seen: Traced, layer: int) -> list[float]:
    """Root mean square of what each head adds, after the output matrix."""
    mixed = split_heads(seen.steps[f"h.{layer}.attn.mixed"].out, seen.config.n_head)[0]
    weight = seen.steps[f"h.{layer}.attn.c_proj"].inputs[1].array
    size = seen.config.head_size
    return [rms(head @ weight[h * size:(h + 1) * size]) for h, head in enumerate(mixed)]


def _head(weights: Array, dweights: Array, contribution: float) -> Json:
    nats = float(row_entropies(weights[None])[0].mean())
    bound = causal_bound(len(weights))
    previous = np.diagonal(weights, -1)
    return {"entropy": nats, "fraction": nats / bound if bound else None,
            "previous": float(previous.mean()) if len(previous) else None,
            "first": float(sink_weight(weights)), "own": float(np.diagonal(weights).mean()),
            "contribution": contribution, "gradient": rms(dweights[np.tril_indices(len(weights))])}
