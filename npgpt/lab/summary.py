"""What a study's results say: per arm, per pair of arms, and for the attention entropy.

Perplexity is exp(nats per token) over the whole held-out split; pairs are compared in nats, where
a difference is the logarithm of the perplexities' ratio. Entropy is that of the last watched step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..layers.contract import Array
from ..probe.entropy import greatest
from .paper import ROWS, Row
from .results import ArmRecord, PairRecord, Results, RunRecord, number
from .statistics import Estimate, estimate, exp, expm1, holm, sign_flip, t_test
from .study import Comparison

# Holm's p must be below this
SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False)
class ArmSummary:
    """One arm over its seeds."""

    name: str
    paper: Row | None
    losses: dict[int, float]
    """Nats per held-out token, by seed; of the runs that are done."""
    diverged: dict[int, int]
    """The step at which a run diverged, by seed."""
    left: int
    """Runs that are not done yet."""
    val: dict[int, Array]
    """(step, loss) of every evaluation on the way, (N, 2), by seed; of the runs that are done."""
    watched: list[int]
    """The steps at which attention entropy was measured."""
    nats: dict[int, Array]
    """It at these steps, in nats, (watched, L, H), by seed; of the runs that are done."""
    sink: dict[int, Array]
    """Final mean weight on the first token, (L, H), by seed."""
    slopes: dict[int, dict[str, float]]
    seconds: float

    @property
    def perplexity(self) -> Estimate:
        """Mean over the seeds that are done, with its 95 % interval."""
        return estimate([exp(loss) for loss in self.losses.values()])

    @property
    def entropy(self) -> dict[int, Array]:
        """The final attention entropy in nats, (L, H), by seed."""
        return {seed: nats[-1] for seed, nats in self.nats.items()}

    @property
    def all_heads(self) -> Array:
        """The final entropy of every head of every seed, in nats, (seeds * L * H,)."""
        return np.concatenate([nats.ravel() for nats in self.entropy.values()])

    @property
    def mean_entropy(self) -> Array:
        """Mean over seeds of the final entropy in nats, (L, H), of an arm that was watched."""
        mean: Array = np.mean(list(self.entropy.values()), axis=0)
        return mean


@dataclass(frozen=True, kw_only=True)
class Pair(Comparison):
    """Two arms, seed by seed: arm minus against."""

    seeds: tuple[int, ...]
    nats: Estimate
    """Nats per token."""
    t_test: float
    sign_flip: float
    entropy: Estimate | None
    """The mean entropy, in percent of the bound; None where it was not watched."""
    paper: float | None
    """The paper's ratio of perplexities minus 1."""
    holm: float = math.nan
    """The t-test's p, corrected for the number of comparisons."""

    @property
    def name(self) -> str:
        """Both arms: none, ReLU / none, GELU."""
        return f"{self.arm} / {self.against}"

    @property
    def percent(self) -> Estimate:
        """The difference of perplexity in percent."""
        mean, low, high = (100 * expm1(nats)
                           for nats in (self.nats.mean, self.nats.low, self.nats.high))
        return Estimate(mean, low, high, self.nats.n)

    @property
    def way(self) -> str:
        """lower or higher: the perplexity of `arm` against the other."""
        return "lower" if self.nats.mean < 0 else "higher"

    @property
    def verdict(self) -> str:
        """confirms, contradicts or cannot tell; without a claim lower, higher or cannot tell.

        Where the interval is on one side of zero but Holm's p is not below 0.05, only: points that
        way, points the other way; without a claim points to lower, points to higher.
        """
        if not self.nats.excludes_zero:
            return "cannot tell"
        significant = self.holm < SIGNIFICANT
        if self.claim is None:
            return self.way if significant else f"points to {self.way}"
        if self.way == self.claim:
            return "confirms" if significant else "points that way"
        return "contradicts" if significant else "points the other way"


@dataclass(frozen=True, eq=False)
class Summary:
    """All that a study's results say."""

    arms: tuple[ArmSummary, ...]
    pairs: tuple[Pair, ...]
    bound: float | None
    """The causal bound of entropy, ln(T!)/T, in nats; None where it was not watched."""
    largest: float
    """The largest entropy observed in any head of any run; NaN where it was not watched."""

    @property
    def with_paper(self) -> bool:
        """Whether some arm repeats one of the paper's."""
        return any(arm.paper for arm in self.arms)

    def arm(self, name: str) -> ArmSummary:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    def mean_fraction(self, arm: ArmSummary) -> float:
        """Mean of the final entropy over seeds and heads, as a fraction of the bound; or NaN."""
        if self.bound is None or not arm.entropy:
            return math.nan
        return float(arm.mean_entropy.mean()) / self.bound


def summarise(results: Results) -> Summary:
    """The summary of a results.json, complete or not.

    Raises ImportError, which names the extra, where SciPy is missing.
    """
    arms = tuple(_arm(entry, results["runs"]) for entry in results["study"]["arms"])
    bounds = {number(run["entropy"]["bound"]) for run in results["runs"] if run["entropy"]}
    largest = greatest([greatest(arm.all_heads) for arm in arms if arm.entropy])
    bound = bounds.pop() if len(bounds) == 1 else 0.0
    by_name = {arm.name: arm for arm in arms}
    found = [_pair(entry, by_name, bound) for entry in results["study"]["compare"]]
    corrected = holm([pair.t_test for pair in found])
    pairs = tuple(replace(pair, holm=p) for pair, p in zip(found, corrected))
    return Summary(arms, pairs, bound or None, largest)


def _arm(entry: ArmRecord, all_runs: list[RunRecord]) -> ArmSummary:
    runs = [run for run in all_runs if run["arm"] == entry["name"]]
    done = [run for run in runs if run["status"] == "done"]
    watched = {run["seed"]: run["entropy"] for run in done if run["entropy"]}
    sinks = {seed: entropy["sink"][-1] for seed, entropy in watched.items()}
    steps = min((entropy["steps"] for entropy in watched.values()), key=len, default=[])
    return ArmSummary(
        name=entry["name"],
        paper=ROWS[entry["paper"]] if entry["paper"] else None,
        losses={run["seed"]: number(run["val_loss"]) for run in done},
        diverged={run["seed"]: run["diverged_at"] or 0
                  for run in runs if run["status"] == "diverged"},
        left=sum(run["status"] not in ("done", "diverged") for run in runs),
        val={run["seed"]: np.array(run["val"], float) for run in done if run["val"]},
        watched=steps,
        nats={seed: np.array(entropy["nats"], float) for seed, entropy in watched.items()},
        sink={seed: np.array(sink, float) for seed, sink in sinks.items() if sink},
        slopes={run["seed"]: run["slopes"] for run in done if run["slopes"]},
        seconds=sum(run["seconds"] for run in runs),
    )


def _pair(entry: PairRecord, arms: dict[str, ArmSummary], bound: float | None) -> Pair:
    a, b = arms[entry["arm"]], arms[entry["against"]]
    both = tuple(seed for seed in a.losses if seed in b.losses)
    nats = [a.losses[seed] - b.losses[seed] for seed in both]
    entropy = [float(a.entropy[seed].mean() - b.entropy[seed].mean())
               for seed in both if seed in a.entropy and seed in b.entropy]
    printed, against = (arm.paper.perplexity if arm.paper else None for arm in (a, b))
    ratio = math.nan if printed is None or against is None else printed / against - 1
    return Pair(
        **entry, seeds=both, nats=estimate(nats), t_test=t_test(nats), sign_flip=sign_flip(nats),
        entropy=estimate([100 * nats / bound for nats in entropy]) if bound and entropy else None,
        paper=None if math.isnan(ratio) else ratio,
    )
