"""What a study's results say: per arm, per pair of arms, and for the attention entropy.

Perplexity is exp(nats per token) over the whole held-back split; pairs are compared in nats, where
a difference is the logarithm of the perplexities' ratio. Entropy is that of the last watched step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers.contract import Array
from ..probe.entropy import greatest
from .paper import ROWS, Row
from .results import number
from .statistics import Estimate, Paired, estimate, holm, paired

# what Holm's p must be below
SURE = 0.05


@dataclass(frozen=True, eq=False)
class ArmSummary:
    """One arm over its seeds."""

    name: str
    paper: Row | None
    losses: dict[int, float]
    """Nats per held-back token, by seed; of the runs that are done."""
    diverged: dict[int, int]
    """The step at which a run diverged, by seed."""
    left: int
    """Runs that are not done yet."""
    entropy: dict[int, Array]
    """Final attention entropy in nats, (L, H), by seed; of the runs that are done."""
    sink: dict[int, Array]
    """Final mean weight on the first token, (L, H), by seed."""
    slopes: dict[int, dict[str, float]]
    seconds: float
    parameters: int | None

    @property
    def perplexity(self) -> Estimate:
        """Mean over the seeds that are done, with its 95 % interval."""
        return estimate([math.exp(loss) for loss in self.losses.values()])

    @property
    def loss(self) -> Estimate:
        """The same in nats per token."""
        return estimate(list(self.losses.values()))


@dataclass(frozen=True)
class Pair:
    """Two arms, seed by seed: arm minus against."""

    arm: str
    against: str
    claim: str | None
    seeds: tuple[int, ...]
    nats: Paired
    """Of nats per token."""
    holm: float
    """The t-test's p, corrected for the number of comparisons."""
    entropy: Paired | None
    """Of the mean entropy, as a share of the bound; None where it was not watched."""
    paper: float | None
    """The paper's ratio of perplexities minus 1."""

    @property
    def percent(self) -> tuple[float, float, float]:
        """The difference of perplexity in percent: mean, low, high."""
        d = self.nats.difference
        return tuple(100 * math.expm1(x) for x in (d.mean, d.low, d.high))  # type: ignore

    @property
    def verdict(self) -> str:
        """confirms, contradicts or cannot tell; without a claim lower, higher or cannot tell.

        Where the interval is on one side of zero and Holm's p is not below 0.05, no more than
        points that way, points the other way; without a claim points to lower, points to higher.
        """
        d, sure = self.nats.difference, self.holm < SURE
        if not d.excludes_zero:
            return "cannot tell"
        way = "lower" if d.mean < 0 else "higher"
        if self.claim is None:
            return way if sure else f"points to {way}"
        if way == self.claim:
            return "confirms" if sure else "points that way"
        return "contradicts" if sure else "points the other way"


@dataclass(frozen=True, eq=False)
class Summary:
    """All of a study's results, ready to be told."""

    arms: tuple[ArmSummary, ...]
    pairs: tuple[Pair, ...]
    bound: float | None
    """Of the entropy, ln(T!)/T, in nats; None where it was not watched."""
    largest: float | None
    """The largest entropy observed in any head of any run."""

    def arm(self, name: str) -> ArmSummary:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    def mean_entropy(self, arm: ArmSummary) -> Array | None:
        """Mean over seeds of the final entropy in nats, (L, H); None where there is none."""
        return np.mean(list(arm.entropy.values()), axis=0) if arm.entropy else None


def summarise(results: dict[str, Any]) -> Summary:
    """The summary of a results.json, complete or not."""
    arms = tuple(_arm(entry, results["runs"]) for entry in results["study"]["arms"])
    bounds = [number(run["entropy"]["bound"]) for run in results["runs"] if run["entropy"]]
    seen = [e for arm in arms for e in arm.entropy.values()]
    largest = greatest(np.concatenate([e.ravel() for e in seen])) if seen else math.nan
    bound = bounds[0] if bounds and len(set(bounds)) == 1 else None
    by_name = {arm.name: arm for arm in arms}
    found = [_pair(entry, by_name, bound) for entry in results["study"]["compare"]]
    corrected = holm([pair.nats.t_test for pair in found])
    pairs = tuple(Pair(**{**pair.__dict__, "holm": p}) for pair, p in zip(found, corrected))
    return Summary(arms, pairs, bound, None if math.isnan(largest) else largest)


def _arm(entry: dict[str, Any], all_runs: list[dict[str, Any]]) -> ArmSummary:
    runs = [run for run in all_runs if run["arm"] == entry["name"]]
    done = [run for run in runs if run["status"] == "done"]
    watched = [run for run in done if run["entropy"]]
    return ArmSummary(
        name=entry["name"],
        paper=ROWS[entry["paper"]] if entry["paper"] else None,
        losses={run["seed"]: number(run["val_loss"]) for run in done},
        diverged={run["seed"]: run["diverged_at"] for run in runs if run["status"] == "diverged"},
        left=sum(run["status"] not in ("done", "diverged") for run in runs),
        entropy={run["seed"]: _array(run["entropy"]["nats"][-1]) for run in watched},
        sink={run["seed"]: _array(run["entropy"]["sink"][-1]) for run in watched
              if run["entropy"]["sink"][-1]},
        slopes={run["seed"]: run["slopes"] for run in done if run["slopes"]},
        seconds=sum(run["seconds"] for run in runs),
        parameters=next((run["parameters"] for run in runs if run["parameters"]), None),
    )


def _pair(entry: dict[str, Any], arms: dict[str, ArmSummary], bound: float | None) -> Pair:
    a, b = arms[entry["arm"]], arms[entry["against"]]
    both = tuple(seed for seed in a.losses if seed in b.losses)
    watched = [seed for seed in both if seed in a.entropy and seed in b.entropy]
    entropy = paired([float(a.entropy[s].mean()) / bound for s in watched],
                     [float(b.entropy[s].mean()) / bound for s in watched]) \
        if bound and watched else None
    printed = [arm.paper.perplexity for arm in (a, b) if arm.paper]
    known = len(printed) == 2 and all(p is not None and math.isfinite(p) for p in printed)
    return Pair(
        arm=a.name, against=b.name, claim=entry["claim"], seeds=both,
        nats=paired([a.losses[s] for s in both], [b.losses[s] for s in both]), holm=math.nan,
        entropy=entropy,
        paper=printed[0] / printed[1] - 1 if known else None,     # type: ignore[operator]
    )


def _array(rows: list[list[Any]]) -> Array:
    """Numbers, or their text where they are not finite."""
    return np.array([[number(value) for value in row] for row in rows])
