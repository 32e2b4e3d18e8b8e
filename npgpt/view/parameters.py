"""Parameters in summary: weight, gradient and AdamW's update, never stored whole."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..config import GPT2Config
from ..params import Params
from ..tape import Array
from ..training.schedule import learning_rate
from ..training.settings import TrainSettings
from ..training.step.adamw import adamw_reference, clipping, decaying, global_norm
from .encoding import Json, encoded
from .flow import rms

BINS, GROUPS = 40, 64


@dataclass(frozen=True)
class Optimizer:
    """AdamW as it stood: settings, how many updates there were, and moments if they were saved."""

    settings: TrainSettings
    step: int = 0
    mean: Params | None = None
    square: Params | None = None
    scheduled: bool = True
    """Take the schedule's learning rate at `step`; else the highest."""

    @property
    def rate(self) -> float:
        """The learning rate of the next update."""
        if self.scheduled:
            return learning_rate(self.step, self.settings)
        return self.settings.learning_rate

    def described(self, scale: float) -> Json:
        """Its settings, for the page, with the factor that clipping takes."""
        settings, saved = self.settings, self.mean is not None
        if not math.isfinite(scale):
            clipped = "; the gradients are not finite, so training would stop and make none"
        else:
            clipped = "" if scale == 1.0 else (
                f", after clipping the gradients to {scale:.3g} of theirs")
        moments = "saved" if saved else "none: first step"
        begins = (f"the moments saved at step {self.step}" if saved
                  else "moments of zero, so as a first step")
        return {"learning_rate": self.rate, "betas": [settings.beta1, settings.beta2],
                "eps": settings.adam_epsilon, "weight_decay": settings.weight_decay,
                "step": self.step + 1, "moments": moments, "clip": scale,
                "text": f"AdamW's update from this text's gradient alone, with {begins}, at a "
                        f"learning rate of {self.rate:.3g}{clipped}"}


def parameters(params: Params, grads: Params, config: GPT2Config, optimizer: Optimizer,
               exact: bool) -> tuple[list[Json], Json]:
    """A summary of every parameter, and of the optimizer that would update it."""
    settings = optimizer.settings
    with np.errstate(all="ignore"):
        norm = global_norm({name: np.ascontiguousarray(grad) for name, grad in grads.items()})
        # training would stop here, and make no update
        scale = clipping(norm, settings.grad_clip) if np.isfinite(norm) else np.nan
        decayed = decaying(params, config.slope_decay)
        found = []
        for name, weight in params.items():
            after = {name: np.array(weight)}
            moments = [{name: np.array(saved[name]) if saved is not None
                        else np.zeros_like(weight)}
                       for saved in (optimizer.mean, optimizer.square)]
            if np.isfinite(scale):
                adamw_reference(
                    after, {name: grads[name]}, *moments, step=optimizer.step + 1,
                    lr=optimizer.rate, betas=(settings.beta1, settings.beta2),
                    eps=settings.adam_epsilon, decay_names=decayed,
                    weight_decay=settings.weight_decay, grad_scale=scale)
            else:
                after[name] = np.full_like(weight, np.nan)
            update = after[name] - weight
            size = rms(weight)
            parts = name.split(".")
            found.append({
                "name": name, "shape": list(weight.shape), "size": weight.size,
                "layer": int(parts[1]) if parts[0] == "h" else None,
                "tied": name == "wte.weight" and config.tie_word_embeddings,
                "weight": summary(weight, exact), "gradient": summary(grads[name], exact),
                "update": summary(update, exact),
                "ratio": rms(update) / size if size else None})
    return found, optimizer.described(scale)


def statistics(array: Array) -> Json:
    """Root mean square, least, greatest and mean of the finite elements; how many are not, or 0."""
    finite = array[np.isfinite(array)]
    some = finite.size > 0
    return {"rms": rms(array), "mean": float(finite.mean(dtype=np.float64)) if some else None,
            "min": float(finite.min()) if some else None,
            "max": float(finite.max()) if some else None,
            "zeros": array.size - int(np.count_nonzero(array)),
            "nan": int(np.isnan(array).sum()), "inf": int(np.isinf(array).sum())}


def summary(array: Array, exact: bool) -> Json:
    """Statistics, a histogram, and the norms of rows and columns of (N,) or (N, M)."""
    numbers = statistics(array)
    counts = [0] * BINS
    low, high = numbers["min"], numbers["max"]
    if low is not None and low < high:
        # not np.histogram, which gives up where the numbers are too small to be divided
        finite = array[np.isfinite(array)].astype(np.float64)
        bins = np.minimum((finite - low) / (high - low) * BINS, BINS - 1).astype(np.int64)
        counts = np.bincount(bins, minlength=BINS).tolist()
    elif low is not None:
        counts[BINS // 2] = array.size - numbers["nan"] - numbers["inf"]
    out = numbers | {"histogram": {"low": low, "high": high, "counts": counts}}
    if array.ndim == 2:
        for name, axis in (("rows", 1), ("columns", 0)):
            norms, each = _grouped(np.sqrt((array.astype(np.float64)**2).sum(axis=axis)))
            out |= {name: encoded(norms, exact), f"{name}_each": each}
    return out


def _grouped(norms: Array) -> tuple[Array, int]:
    """At most 64 numbers: the root mean square of so many neighbours each."""
    each = -(-len(norms) // GROUPS)
    starts = np.arange(0, len(norms), each)
    sizes = np.diff([*starts, len(norms)])
    return np.sqrt(np.add.reduceat(norms * norms, starts) / sizes), each
