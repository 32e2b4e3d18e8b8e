"""From logits to the next token: temperature, filters, and one random draw.

A filter takes logits (V,), sets what it removes to -inf and leaves the rest as it was,
so filters can be chained and the best token always stays. They are applied in this order:

    repetition penalty   a seen token's logit: divided by the penalty if positive, else multiplied
    temperature          logits / temperature; 0 stands for greedy, the single best token
    top_k                the k largest logits
    top_p                the fewest of the most probable tokens whose probabilities sum to p or more
    min_p                tokens at least min_p times as probable as the best one

Among equal logits the lower token id counts as the larger, here and in greedy choice.

Source     penalty: Keskar et al. 2019, arXiv 1909.05858; top-k: Fan et al. 2018, arXiv 1805.04833;
           top-p: Holtzman et al. 2020, arXiv 1904.09751; min-p: Nguyen et al. 2024,
           arXiv 2407.01082
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from typing import Sequence, TypedDict

import numpy as np

from ..ids import check_floats, check_ids, check_integer, check_number
from ..layers.softmax import softmax_forward
from ..tape import Array


class SamplingSettings(TypedDict, total=False):
    """The fields of Sampling, as keywords."""

    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    repetition_penalty: float


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; the defaults draw from the model's own distribution.

        temperature             at least 0; 0 is greedy, below 1 safer, above 1 wilder
        top_k                   at least 1; 0, None and more than the vocabulary keep all of it
        top_p                   in (0, 1], or None
        min_p                   in [0, 1], or None
        repetition_penalty      above 0; 1 changes nothing, 1.2 is usual

    Raises ValueError, naming the setting, what was given and what would fit.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        temperature = check_number("temperature", self.temperature)
        if not 0.0 <= temperature < math.inf:
            raise ValueError(f"temperature={temperature} must be finite, at least 0; 0 is greedy")
        if self.top_k is not None:
            check_integer("top_k", self.top_k, 0, hint="; 0 keeps every token")
        if self.top_p is not None and not 0.0 < check_number("top_p", self.top_p) <= 1.0:
            raise ValueError(f"top_p={self.top_p} is outside (0, 1]; 1 keeps every token")
        if self.min_p is not None and not 0.0 <= check_number("min_p", self.min_p) <= 1.0:
            raise ValueError(f"min_p={self.min_p} is outside [0, 1]; 0 keeps every token")
        penalty = check_number("repetition_penalty", self.repetition_penalty)
        if not 0.0 < penalty < math.inf:
            raise ValueError(f"repetition_penalty={penalty} must be finite and above 0; "
                             "1 changes nothing")

    def filtered(self, logits: Array, seen: Sequence[int] | Array = ()) -> Array:
        """Logits (V,) in float64 after penalty, temperature and filters; removed ones are -inf.

        `seen` are the token ids so far, for the penalty. Raises ValueError for logits with a NaN,
        or without a finite maximum.
        """
        out = self._penalised(logits, seen)
        if self.temperature == 0.0:
            return keep_top_k(out, 1)
        out = with_temperature(out, self.temperature)
        if self.top_k:
            out = keep_top_k(out, self.top_k)
        if self.top_p is not None:
            out = keep_top_p(out, self.top_p)
        if self.min_p is not None:
            out = keep_min_p(out, self.min_p)
        return out

    def distribution(self, logits: Array, seen: Sequence[int] | Array = ()) -> Array:
        """The probabilities (V,) that a draw follows."""
        return softmax_forward(self.filtered(logits, seen))[0]

    def choose(
        self, logits: Array, rng: np.random.Generator, seen: Sequence[int] | Array = ()
    ) -> int:
        """One token id from logits (V,); takes one uniform number, or none when greedy."""
        if self.temperature == 0.0:
            return int(self._penalised(logits, seen).argmax())
        filtered = self.filtered(logits, seen)
        left = np.flatnonzero(filtered > -np.inf)
        return int(left[draw(softmax_forward(filtered[left])[0], float(rng.random()))])

    def _penalised(self, logits: Array, seen: Sequence[int] | Array) -> Array:
        out = check_floats("logits", logits)
        if out.ndim != 1 or not out.size:
            raise ValueError(f"logits must have shape (V,); got {out.shape}")
        if not math.isfinite(out.max()):
            raise ValueError(
                f"the largest logit is {out.max()}; the model's parameters are damaged or diverged"
            )
        if self.repetition_penalty != 1.0:
            out = penalise_repetition(out, seen, self.repetition_penalty)
        return out


def with_temperature(logits: Array, temperature: float) -> Array:
    """(logits - their maximum) / temperature, for a temperature above 0.

    The maximum cancels in softmax; taking it off first keeps a tiny temperature from making two
    infinities out of two large logits.
    """
    shifted: Array = logits - logits.max()
    with np.errstate(over="ignore"):                            # a far loser may reach -inf
        shifted /= temperature
    return shifted


def keep_top_k(logits: Array, k: int) -> Array:
    """Keep the k largest logits, exactly k even among equals."""
    if k >= len(logits):
        return logits.copy()
    smallest = np.partition(logits, -k)[-k]                     # the k-th largest
    above = np.flatnonzero(logits > smallest)
    equal = np.flatnonzero(logits == smallest)[:k - len(above)]
    return _keep(logits, np.concatenate([above, equal]))


def keep_top_p(logits: Array, p: float) -> Array:
    """Keep the fewest of the most probable tokens whose probabilities add up to p or more."""
    if p >= 1.0:
        return logits.copy()
    probs = softmax_forward(logits)[0]
    # all tokens below (1 - p) / V hold less than 1 - p: those above reach p without them, so
    # only those are sorted, a few hundred instead of 50257; the half allows for rounding
    likely = np.flatnonzero(probs >= 0.5 * (1.0 - p) / len(logits))
    order = likely[np.argsort(-logits[likely], kind="stable")]
    mass_before = np.cumsum(probs[order]) - probs[order]
    # the first has nothing before it but its own rounding error
    mass_before[0] = 0.0
    return _keep(logits, order[mass_before < p])


def keep_min_p(logits: Array, min_p: float) -> Array:
    """Keep tokens whose probability is at least min_p times that of the most probable."""
    if min_p == 0.0:
        return logits.copy()
    return _keep(logits, logits >= logits.max() + math.log(min_p))


def penalise_repetition(
    logits: Array, seen: Sequence[int] | Array, penalty: float
) -> Array:
    """Make tokens seen before (N,) less likely (penalty above 1): once, however often they came."""
    out = logits.copy()
    if not len(seen):
        return out
    ids = np.unique(check_ids(seen, len(logits), "seen"))
    scores = out[ids]
    with np.errstate(over="ignore"):
        changed = np.where(scores > 0, scores / penalty, scores * penalty)
    # an extreme penalty must not make infinities, whose differences are NaN
    most = np.finfo(out.dtype).max / 1024
    out[ids] = np.where(np.isfinite(scores), np.clip(changed, -most, most), scores)
    return out


def draw(probs: Array, u: float) -> int:
    """The token id at u in [0, 1) of the cumulated probabilities (V,), which need not sum to 1."""
    cumulated = np.cumsum(probs)
    token = int(np.searchsorted(cumulated, u * cumulated[-1], side="right"))
    # u * total may round up to the total itself: then the last token with any probability
    return min(token, int(np.flatnonzero(probs)[-1]))


def log_probability(logits: Array, token: int) -> float:
    """log softmax(logits)[token] in nats, from logits (V,): before temperature and filters."""
    top = logits.max()
    total = float(np.exp(logits - top).sum(dtype=np.float64))
    return float(logits[token] - top) - math.log(total)


def generators(seed: int | None, count: int) -> list[np.random.Generator]:
    """A generator for each of `count` samples; sample i's depends on the seed and i alone.

    So a sample does not change with its batch mates. None takes fresh entropy.
    """
    if seed is None:
        root = secrets.randbits(128)
    else:
        root = check_integer("seed", seed, 0)
    return [np.random.default_rng(np.random.SeedSequence([root, i])) for i in range(count)]


def _keep(logits: Array, kept: Array) -> Array:
    out = np.full_like(logits, -np.inf)
    out[kept] = logits[kept]
    return out
