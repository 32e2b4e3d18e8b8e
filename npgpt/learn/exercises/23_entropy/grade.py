"""How entropy is graded: heads of several kinds, and rows that a plain formula cannot do."""

import math
from dataclasses import replace

import numpy as np

from npgpt.doctor import Program
from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.layers.softmax import softmax_forward
from npgpt.probe.entropy import attention_entropy, causal_bound

KNOWN = PROGRAMS["attention_entropy"]


def per_head(weights):
    """The right entropies (H,)."""
    return attention_entropy(weights).mean(0)


def _terms(weights):
    logs = np.log(np.where(weights > 0, weights, 1.0))
    return -weights * logs


def _clipped(eps):
    def entropy(weights):
        kept = np.maximum(weights, eps)
        return -(kept * np.log(kept)).sum(-1).mean((0, 2))

    return entropy


def _shifted(eps):
    def entropy(weights):
        kept = weights + eps
        return -(kept * np.log(kept)).sum(-1).mean((0, 2))

    return entropy


def _clipped_in_log(eps):
    def entropy(weights):
        return -(weights * np.log(np.maximum(weights, eps))).sum(-1).mean((0, 2))

    return entropy


def _eps(eps):
    def entropy(weights):
        return -(weights * np.log(weights + eps)).sum(-1).mean((0, 2))

    return entropy


def _softmax_again(weights):
    return per_head(softmax_forward(weights)[0])


def _not_first(weights):
    return _terms(weights).sum(-1)[..., 1:].mean((0, 2))


def _last_row(weights):
    return _terms(weights).sum(-1)[..., -1].mean(0)


def _first_sequence(weights):
    return _terms(weights).sum(-1)[0].mean(-1)


def _by_query(weights):
    return _terms(weights).sum((0, 1, 3)) / (weights.shape[0] * weights.shape[1])


def _by_sequence(weights):
    return _terms(weights).sum((1, 2, 3)) / (weights.shape[1] * weights.shape[2])


_CLIPPED = ("hidden weights are replaced by a small number, which adds to every row: 0 ln 0 is 0, "
            "so a hidden key adds nothing")


def _draw(rng, given, n):
    """Heads of several kinds: the second input has weights far below 1, as sure heads have."""
    b, h, t = 2, 3 + n % 2, 5 + n
    scores = (1, 5, 2)[n % 3] * rng.standard_normal((b, h, t, t))
    return (softmax_forward(np.where(np.tri(t, dtype=bool), scores, -np.inf))[0],), {}


ENTROPY = replace(KNOWN, draw=_draw, variants=[
    *KNOWN.variants,
    *(("entropy-clipped", f(eps), _CLIPPED) for f in (_clipped, _shifted)
      for eps in (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)),
    *(("entropy-clipped-in-log", _clipped_in_log(eps), f"weights below {eps:g} are raised inside "
       "the log: that changes the terms of small weights, and only 0 needs care")
      for eps in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)),
    *(("entropy-eps", _eps(eps), f"{eps:g} is added inside the log: it shifts every entropy")
      for eps in (1e-3, 1e-4, 1e-9, 2e-9, 1e-10)),
    ("softmax-twice", _softmax_again, "softmax is applied to the weights: they are probabilities "
     "already"),
    ("entropy-exp", lambda w: np.exp(per_head(w)), "this is exp of the entropy: the number of "
     "tokens that a head looks at, as it were"),
    ("entropy-exp", lambda w: np.exp(_terms(w).sum(-1)).mean((0, 2)), "this is the mean of exp of "
     "the entropies"),
    ("entropy-divided-already", lambda w: per_head(w) / causal_bound(w.shape[-1]), "it is divided "
     "by the bound already: entropies in nats are meant here"),
    ("entropy-divided-already", lambda w: per_head(w) / math.log(w.shape[-1]), "it is divided by "
     "ln T already: entropies in nats are meant here"),
    ("entropy-in-decimal-digits", lambda w: per_head(w) / math.log(10), "the logarithm is that to "
     "base 10: the natural one is meant"),
    ("entropy-largest-row", lambda w: _terms(w).sum(-1).max((0, 2)), "this is the largest entropy "
     "of a row: the mean is meant"),
    ("weight-squared", lambda w: -(w * w).sum(-1).mean((0, 2)), "the weight is squared: the "
     "logarithm is missing"),
    ("entropy-sum-over-queries", lambda w: _terms(w).sum((2, 3)).mean(0),
     "the rows are added up and not divided by T: a mean over the queries is meant"),
    ("entropy-sum-over-batch", lambda w: _terms(w).sum((0, 2, 3)) / w.shape[2],
     "the sequences are added up and not divided by B: a mean over the batch is meant"),
    ("entropy-not-averaged", lambda w: _terms(w).sum((0, 2, 3)),
     "all rows are added up: a mean over queries and batch is meant"),
    ("mean-over-heads", lambda w: np.full(w.shape[1], _terms(w).sum(-1).mean()),
     "the heads are averaged too: each has its own entropy"),
    ("mean-over-heads", lambda w: _by_sequence(w), "the heads are averaged and the sequences left: "
     "it is the other way round"),
    ("rows-for-heads", _by_query, "it gives a number for each query: a number for each head is "
     "meant"),
    ("rows-for-heads", lambda w: _terms(w).sum(-1), "it gives a number for each row, (B, H, T): "
     "average over B and T"),
    ("batch-not-averaged", lambda w: _terms(w).sum(-1).mean(-1), "it gives a number for each "
     "sequence and head, (B, H): average over B too"),
    ("batch-dropped", _first_sequence, "only the first sequence of the batch counts"),
    ("first-row-left-out", _not_first, "the first row is left out: its entropy is 0, and it counts "
     "in the mean"),
    ("last-row-only", _last_row, "only the last query counts: a mean over all T is meant"),
    ("divided-by-heads", lambda w: per_head(w) / w.shape[1], "it is divided by the number of heads "
     "too"),
    ("log-twice", lambda w: -(np.log(np.where(w > 0, w, 1.0)) ** 2).sum(-1).mean((0, 2)),
     "the logarithm is squared: the weight multiplies it"),
    ("weight-forgotten", lambda w: -np.log(np.where(w > 0, w, 1.0)).sum(-1).mean((0, 2)),
     "the weight in front of the logarithm is missing"),
])

BOUND = Program("causal_bound", causal_bound, [
    ("bound-log-T", lambda length: math.log(length), "this is ln T: the token at position i sees i "
     "tokens only, so the bound is the mean of ln 1 ... ln T"),
    ("bound-not-divided", lambda length: math.lgamma(length + 1), "this is ln(T!): the mean over "
     "the rows is meant, so it is to be divided by T"),
    ("bound-one-short", lambda length: math.lgamma(length) / length, "ln T itself is missing from "
     "the sum: range(1, length) ends at length - 1"),
    ("bound-one-short", lambda length: math.lgamma(length) / max(length - 1, 1), "the sum ends at "
     "ln (T - 1): the last row sees T tokens"),
    ("bound-one-more", lambda length: causal_bound(length + 1), "this is the bound for one token "
     "more"),
    ("bound-one-short", lambda length: causal_bound(length - 1), "this is the bound for one token "
     "less"),
    ("bound-log-T", lambda length: math.log(length) - 1, "this is Stirling's approximation of the "
     "bound, ln T - 1: the sum itself is meant"),
    ("bound-log-T", lambda length: math.log(length) / length, "this is ln T / T: the sum of "
     "ln 1 ... ln T is to be divided by T"),
    ("bound-one-more", lambda length: math.lgamma(length + 2) / length, "the sum goes one too far, "
     "to ln (T + 1)"),
    ("bound-without-first", lambda length: math.lgamma(length + 1) / max(length - 1, 1), "it is "
     "divided by T - 1: the first row counts in the mean, though its ln 1 is 0"),
    ("bound-in-bits", lambda length: math.lgamma(length + 1) / length / math.log(2), "the bound is "
     "in bits (log base 2), not in nats"),
    ("bound-of-mean", lambda length: math.log((length + 1) / 2), "this is the logarithm of the "
     "mean number of visible tokens: the mean of the logarithms is meant"),
    ("bound-half", lambda length: math.log(length) / 2, "this is half of ln T"),
    ("bound-sign", lambda length: -math.lgamma(length + 1) / length, "the sign is wrong"),
], draw=lambda rng, given, n: ((7 + 5 * n,), {}))


def fraction(weights):
    """The right fractions (H,)."""
    return per_head(weights) / causal_bound(weights.shape[-1])


def _row_fractions(first):
    """The mean of each row's own fraction."""
    def rows(weights):
        t = weights.shape[-1]
        most = np.log(np.arange(1, t + 1))
        most[0] = 1.0
        each = _terms(weights).sum(-1) / most
        return each[..., first:].mean((0, 2))

    return rows


FRACTION = Program("entropy_fraction", fraction, [
    ("fraction-in-nats", per_head, "it is not divided by the bound"),
    ("bound-log-T", lambda w: per_head(w) / math.log(w.shape[-1]), "it is divided by ln T: the "
     "token at position i sees i tokens only, so the bound is ln(T!) / T"),
    ("bound-of-heads", lambda w: per_head(w) / causal_bound(w.shape[1]), "the bound is that of "
     "another axis: its length is the number of queries T, not of heads"),
    ("bound-of-batch", lambda w: per_head(w) / causal_bound(max(w.shape[0], 2)), "the bound is "
     "that of another axis: its length is the number of queries T, not of sequences"),
    ("fraction-upside-down", lambda w: causal_bound(w.shape[-1]) / per_head(w), "the fraction is "
     "upside down"),
    ("fraction-times-bound", lambda w: per_head(w) * causal_bound(w.shape[-1]), "it is multiplied "
     "by the bound, not divided"),
    ("fraction-of-largest", lambda w: per_head(w) / per_head(w).max(), "it is divided by the "
     "largest of the heads: the bound is what is possible, not what occurs"),
    ("fraction-of-rows", _row_fractions(0), "each row is divided by its own bound, and then "
     "averaged: the mean entropy is to be divided by the mean bound"),
    ("fraction-of-rows", _row_fractions(1), "each row is divided by its own bound, and then "
     "averaged: the mean entropy is to be divided by the mean bound"),
    ("fraction-of-1", lambda w: 1 - fraction(w), "it is 1 minus the fraction: 1 means everything "
     "equally"),
    ("fraction-of-sum", lambda w: per_head(w) / per_head(w).sum(), "it is divided by the sum of "
     "the heads: the bound is what is possible"),
    ("mean-over-heads", lambda w: fraction(w).mean(), "the heads are averaged: each has its own"),
    ("fraction-percent", lambda w: 100 * fraction(w), "it is in percent: 1 means everything"),
], draw=_draw)


def _sure(mine):
    weights = np.eye(4)[None, None]
    got = np.asarray(mine.attention_entropy(weights))
    return got.shape == (1,) and abs(got[0]) < 1e-8 or f"It gave {got}."


def _everything(mine):
    weights = softmax_forward(np.where(np.tri(6, dtype=bool), 0.0, -np.inf)[None, None])[0]
    got = np.asarray(mine.entropy_fraction(weights))
    return bool(np.allclose(got, 1)) or f"It gave {got}."


def _unchanged(mine):
    weights = softmax_forward(np.where(np.tri(5, dtype=bool), 1.0, -np.inf)[None, None])[0]
    before = weights.copy()
    mine.attention_entropy(weights)
    return bool((weights == before).all())


def grade(mine, g):
    """The entropies, the bound, and the fraction."""
    g.values(ENTROPY, mine.attention_entropy)
    if not g.findings:
        g.probe("sure-head", "a head that looks at one token has entropy 0", lambda: _sure(mine))
        g.probe("in-place", "the weights given are unchanged", lambda: _unchanged(mine))
    g.values(BOUND, mine.causal_bound)
    if g.findings:          # the fraction may use the two others
        return
    g.values(FRACTION, mine.entropy_fraction)
    g.probe("not-1", "a head that looks at all visible tokens alike has the fraction 1",
            lambda: _everything(mine))


def after():
    """The bound beside ln T, and what an eps does, computed."""
    sure = np.eye(128)[None, None]
    eps = -(sure * np.log(sure + 1e-8)).sum(-1).mean()
    clipped = _clipped(1e-6)(sure)[0]
    return (f"For 128 tokens the bound is {causal_bound(128):.3f} nats and ln 128 is "
            f"{math.log(128):.3f}: a head that looks at everything would be called "
            f"{causal_bound(128) / math.log(128):.0%} by the wrong one, and for 8 tokens "
            f"{causal_bound(8) / math.log(8):.0%}. A perfectly sure head has entropy 0; with 1e-8 "
            f"inside the logarithm it has {eps:.0e}, and with hidden weights raised to 1e-6 it has "
            f"{clipped:.4f}.")
