"""A watch over a training run: what `npgpt train --watch` writes to log.jsonl.

The record of a watched step has a key "watch". It holds what was named:

    entropy       nats [L][H], sink [L][H], bound; nan: heads whose entropy is NaN
    gradients     norm for each group of parameters, such as h.0.attn
    activations   stream [L + 1] (rms of the residual stream, from the embeddings on); mean, rms,
                  zeros and saturated of every layer's activation function [L]; nan and inf: how
                  many; first_break: the first step of the pass that has one, or null
    updates       |change| / |before| for each group, by the very update of this step; not at step 0

Numbers have six digits; what is not finite is text. Entropy, gradients and activations are those of
a *probe*: the same few sequences of held-back text at every step, without dropout, so that curves
compare. The record says what a look cost, as watch_seconds. Measured with one thread, all four cost
0.8 of a training step of 12 sequences: at one look in 100, 0.8 % of the time; on two cores crowded
by other work 4.5 %. A step of fewer sequences is cheaper and a look is not: watch more rarely then.
A run of which looking took more than 5 % says so at its end, and in its log as watch_share.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

import numpy as np

from ..machine.threads import one_blas_thread
from ..params import Params
from ..probe.activity import PARTS, Activity, Units, measure, update_ratios
from ..tape import Array
from .batches import evaluation_batches
from .checkpoint import TrainingState

# sequences of the probe
PROBE = 4
# more of a run's time than looking should take
DEAR = 0.05


class TrainingWatch:
    """Looks at a run's state; hand it to `npgpt.training.train` as `watch`.

        train(folder, state, corpus, reporter, watch=TrainingWatch(state, corpus.val))
    """

    def __init__(self, state: TrainingState, held_back: Array) -> None:
        """Take the probe from held_back tokens (N,), spread evenly."""
        self.named = state.run.train.watched
        (self.probe,) = evaluation_batches(held_back, PROBE, state.run.sequence_length, 1)
        self._every = state.run.train.watch_every
        self._began, self._seconds = time.perf_counter(), 0.0

    @property
    def share(self) -> float:
        """Of the time since this watch was made, what looking has taken."""
        return self._seconds / (time.perf_counter() - self._began)

    def warning(self) -> str:
        """What to say of a share that is too large, and what would be less; else ""."""
        share = self.share
        if share <= DEAR:
            return ""
        # looks that come so much more rarely take that share of the time
        rarely = math.ceil(self._every * share * (1 - DEAR) / (DEAR * (1 - share)))
        return (f"looking (watch) took {share:.0%} of the run's time; --watch-every {rarely} "
                f"instead of {self._every} would take about {DEAR:.0%}")

    def __call__(self, state: TrainingState, before: Params | None) -> dict[str, Any]:
        """What a watched step adds to its record; `before` are the parameters one step ago."""
        started = time.perf_counter()
        try:
            return self._look(state, before)
        finally:
            self._seconds += time.perf_counter() - started

    def _look(self, state: TrainingState, before: Params | None) -> dict[str, Any]:
        record: dict[str, Any] = {}
        parts = [part for part in PARTS if part in self.named]
        if parts:
            # with one thread the numbers do not depend on how many there are
            with one_blas_thread():
                seen = measure(state.params, state.config, *self.probe, parts)
            record = {part: _SHOWN[part](seen) for part in self.named if part in parts}
        if "updates" in self.named and before is not None:
            record["updates"] = update_ratios(before, state.params)
        short: dict[str, Any] = six_digits(record)
        return short


def six_digits(value: Any) -> Any:
    """Floats rounded to six significant digits, at any depth; arrays as lists."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: six_digits(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [six_digits(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _entropy(seen: Activity) -> dict[str, Any]:
    return {"nats": seen.nats, "bound": seen.bound, "sink": seen.sink, "nan": seen.nan_heads}


def _activations(seen: Activity) -> dict[str, Any]:
    layers = [asdict(units) for units in seen.units]
    columns = {key: [layer[key] for layer in layers] for key in Units.__dataclass_fields__}
    return {"stream": seen.stream, **columns, "nan": seen.nan, "inf": seen.inf,
            "first_break": seen.first_break}


_SHOWN = {"entropy": _entropy, "activations": _activations, "gradients": lambda a: a.gradients}
