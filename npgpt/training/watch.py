"""A watch over a training run: what the setting `watch` adds to log.jsonl.

The record of a watched step has a key "watch". It holds what was named:

    entropy       nats [L][H], sink [L][H], bound; nan: heads whose entropy is NaN
    gradients     norm for each group of parameters, such as h.0.attn
    activations   stream [L + 1] (rms of the residual stream, from the embeddings on); mean, rms,
                  zeros and saturated of every layer's activation function [L]; nan and inf: how
                  many; first_break: the first step of the pass that has one, or null
    updates       |change| / |before| for each group, by the very update of this step; not at step 0

Numbers have six digits; what is not finite is text. Entropy, gradients and activations are measured
by a *probe*: a pass over the same few held-out sequences at every watched step, without dropout, so
that curves can be compared. The record holds the time that it took, as watch_seconds. On one thread
all four cost 0.8 of a training step of 12 sequences: 0.8 % of the time with a probe every 100
steps; on two cores crowded by other work, 4.5 %. With a smaller batch a step gets cheaper but a
probe does not, so increase --watch-every. A run whose probes took more than 5 % of the time says so
at its end, and in its log as watch_share.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Callable

from ..evaluation.text import evaluation_batches
from ..machine.threads import one_blas_thread
from ..params import Params
from ..probe.activity import PARTS, Units, measure, update_ratios
from ..tape import Array
from .log import Record, plain
from .state import TrainingState

# sequences that a probe passes through the model
PROBE = 4
# the fraction of a run's time that probes should not exceed
EXPENSIVE = 0.05


class TrainingWatch:
    """Probes a run's state, and counts the time that this takes."""

    def __init__(
        self, state: TrainingState, held_out: Array, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Take the probe's sequences from held_out tokens (N,), spread evenly; `clock` in seconds.
        """
        self.named = state.run.train.watched
        self.probe = next(evaluation_batches(held_out, PROBE, state.run.sequence_length, 1))
        self._every = state.run.train.watch_every
        self._clock = clock
        self._began, self._seconds = clock(), 0.0

    @property
    def fraction(self) -> float:
        """The fraction of the time since this watch was made that its probes have taken."""
        return self._seconds / (self._clock() - self._began)

    def warning(self) -> str:
        """What to say if the probes took too much time, and what would take less; else ""."""
        fraction = self.fraction
        if fraction <= EXPENSIVE:
            return ""
        # with so many steps between probes they take the fraction EXPENSIVE of the time
        rarely = math.ceil(self._every * fraction * (1 - EXPENSIVE) / (EXPENSIVE * (1 - fraction)))
        return (f"probes (watch) took {fraction:.0%} of the run's time; --watch-every {rarely} "
                f"instead of {self._every} would take about {EXPENSIVE:.0%}")

    def __call__(self, state: TrainingState, before: Params | None) -> dict[str, Record]:
        """What a watched step adds to its record: watch and watch_seconds.

        `before` are the parameters one step ago, None at step 0.
        """
        started = self._clock()
        record: dict[str, Record] = {}
        parts = [part for part in PARTS if part in self.named]
        if parts:
            # on one thread the numbers do not depend on how many threads there are
            with one_blas_thread():
                seen = measure(state.params, state.config, *self.probe, parts)
            layers = [asdict(units) for units in seen.units]
            measured: dict[str, Record] = {
                "entropy": {"nats": seen.nats, "bound": seen.bound, "sink": seen.sink,
                            "nan": seen.nan_heads},
                "gradients": seen.gradients,
                "activations": {"stream": seen.stream,
                                **{key: [layer[key] for layer in layers]
                                   for key in Units.__dataclass_fields__},
                                "nan": seen.nan, "inf": seen.inf, "first_break": seen.first_break},
            }
            record = {part: measured[part] for part in parts}
        if "updates" in self.named and before is not None:
            record["updates"] = update_ratios(before, state.params)
        seconds = self._clock() - started
        self._seconds += seconds
        return {"watch": plain(record, digits=6), "watch_seconds": round(seconds, 4)}
