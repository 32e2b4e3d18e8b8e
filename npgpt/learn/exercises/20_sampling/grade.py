"""How sampling is graded: the probabilities are compared, not draws, and the variant is named."""

from dataclasses import replace

import numpy as np

from npgpt.doctor import Program
from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.layers.softmax import softmax_forward

KNOWN = PROGRAMS["sampling"]


def _changed(**changes):
    """The right program with other settings."""
    def sampled(logits, *, temperature=1.0, top_k=None, top_p=None):
        given = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        return KNOWN.function(logits, **given | {n: f(given) for n, f in changes.items()})

    return sampled


def _normalised_after_softmax(logits, *, temperature=1.0, top_k=None, top_p=None):
    filtered = KNOWN.function(logits, top_k=top_k, top_p=top_p)
    return softmax_forward(filtered / temperature)[0]


def _of_all(logits, *, temperature=1.0, top_k=None, top_p=None):
    """Top-p on the probabilities before top-k."""
    wide = KNOWN.function(logits, temperature=temperature, top_p=top_p)
    best = KNOWN.function(logits, temperature=temperature, top_k=top_k)
    both = best * (wide > 0)
    return both / both.sum()


def _none_left(logits, *, temperature=1.0, top_k=None, top_p=None):
    """Top-p without the token that crosses p: nothing is left where the first one does."""
    probs = KNOWN.function(logits, temperature=temperature, top_k=top_k)
    if top_p is None:
        return probs
    order = np.argsort(-probs)
    probs[order[np.cumsum(probs[order]) > top_p]] = 0
    return probs / probs.sum()


def _cold_nucleus(logits, *, temperature=1.0, top_k=None, top_p=None):
    """Top-p on the probabilities at temperature 1, the rest with the temperature."""
    kept = KNOWN.function(logits, top_k=top_k, top_p=top_p) > 0
    out = softmax_forward(np.where(kept, logits / temperature, -np.inf))[0]
    return out


def _smallest_left(logits, *, temperature=1.0, top_k=None, top_p=None):
    """Top-k with the comparison the wrong way round."""
    hot = logits / temperature
    if top_k is not None:
        hot = np.where(hot <= np.sort(hot)[-min(top_k, len(hot))], hot, -np.inf)
    return KNOWN.function(hot, top_p=top_p)


def _others_left(logits, *, temperature=1.0, top_k=None, top_p=None):
    """What top-p should drop is what is kept."""
    before = KNOWN.function(logits, temperature=temperature, top_k=top_k)
    after = KNOWN.function(logits, temperature=temperature, top_k=top_k, top_p=top_p)
    return after if top_p is None else before * (after == 0) / (before * (after == 0)).sum()


def _at_the_end(change):
    """The right result, changed."""
    def changed(logits, **settings):
        return change(KNOWN.function(logits, **settings))

    return changed


def _logits_left(logits, *, temperature=1.0, top_k=None, top_p=None):
    """The logits that are left, without softmax."""
    kept = KNOWN.function(logits, temperature=temperature, top_k=top_k, top_p=top_p) > 0
    return np.where(kept, logits / temperature, -np.inf)


def _top_p_not_normalised(logits, *, temperature=1.0, top_k=None, top_p=None):
    """What top-p leaves, as it was before."""
    before = KNOWN.function(logits, temperature=temperature, top_k=top_k)
    return before * (KNOWN.function(logits, temperature=temperature, top_k=top_k, top_p=top_p) > 0)


def _at_least(logits, *, temperature=1.0, top_k=None, top_p=None):
    """Top-p as a limit on each probability."""
    probs = KNOWN.function(logits, temperature=temperature, top_k=top_k)
    kept = probs * (probs >= 1 - top_p) if top_p is not None else probs
    return kept / kept.sum() if kept.sum() else kept


VARIANTS = [
    ("softmax-of-probabilities", _normalised_after_softmax, "softmax is applied to probabilities: "
     "temperature belongs to the logits, and softmax comes once, at the end"),
    ("top-p-of-all", _of_all, "top-p adds up probabilities as they are among all tokens: it comes "
     "after top-k, and what top-k leaves is normalised again before top-p adds it up"),
    ("crossing-token-dropped", _none_left, "top-p drops the token that crosses p, even where it is "
     "the first: it belongs to those kept"),
    ("temperature-after-top-p", _cold_nucleus, "top-p looks at probabilities without the "
     "temperature: it is to see the ones that are drawn from"),
    ("top-k-smallest", _smallest_left, "the comparison is the wrong way round: top-k drops the "
     "largest logits"),
    ("top-p-inverted", _others_left, "the comparison is the wrong way round: it keeps what top-p "
     "should drop"),
    ("softmax-twice", _at_the_end(lambda probs: softmax_forward(probs)[0]), "softmax is applied to "
     "probabilities at the end: what is dropped gets exp(0) = 1; divide by the sum instead"),
    ("log-softmax", _at_the_end(np.log), "these are log-probabilities"),
    ("softmax-left-out", _logits_left, "these are logits: softmax comes at the end"),
    ("temperature-rooted", _changed(temperature=lambda given: given["temperature"] ** 0.5),
     "the logits are divided by the root of the temperature"),
    ("not-renormalised", _top_p_not_normalised, "what top-p leaves is not normalised again"),
    ("top-p-as-limit", _at_least, "1 - p is used as a limit for each probability: top-p adds them "
     "up, from the largest"),
    ("top-p-complement", _changed(top_p=lambda given: None if given["top_p"] is None
                                  else 1 - given["top_p"]),
     "it keeps 1 - p: top-p keeps tokens until their sum reaches p"),
]
# top-p before top-k gives the same numbers as top-k without a normalisation: one sentence for both
ALL = [*(v for v in KNOWN.variants if v.kind != "top-p-before-top-k"), *VARIANTS]


def _stage(*settings):
    """Sampling with these settings (temperature, k, p), on logits of several sizes."""
    def draw(rng, given, n):
        temperature, top_k, top_p = settings[n % len(settings)]
        return (1.5 * rng.standard_normal(9 + n),), {
            "temperature": temperature, "top_k": top_k, "top_p": top_p}

    return replace(KNOWN, variants=ALL, draw=draw)


# each part alone first: what already differs alone is named before what several parts do together
ALONE = [
    _stage((0.7, None, None), (1.6, None, None), (2.5, None, None)),
    _stage((1.0, 4, None), (1.0, 2, None), (1.0, 6, None)),
    _stage((1.0, None, 0.75), (1.0, None, 0.25), (1.0, None, 0.9), (1.0, None, 0.5)),
]
TOGETHER = [
    _stage((1.6, 4, None), (0.6, 3, None), (2.5, 6, None)),
    _stage((2.5, None, 0.5), (0.6, None, 0.9), (1.6, None, 0.75)),
    _stage((1.0, 6, 0.75), (1.0, 5, 0.6), (1.0, 3, 0.9), (1.0, 4, 0.8)),
    _stage((1.4, 6, 0.75), (2.0, 5, 0.8), (0.7, 4, 0.9)),
]


def greedy(logits, *, temperature=0.0, top_k=None, top_p=None):
    """All probability on the largest logit."""
    out = np.zeros(len(logits))
    out[np.argmax(logits)] = 1.0
    return out


def _warm(logits, *, temperature=0.0, top_k=None, top_p=None):
    return KNOWN.function(logits, top_k=top_k, top_p=top_p)


def _cold(logits, *, temperature=0.0, top_k=None, top_p=None):
    return np.asarray(np.argmax(logits))


def _nan(logits, *, temperature=0.0, top_k=None, top_p=None):
    return np.full(len(logits), np.nan)


def _zeros(logits, *, temperature=0.0, top_k=None, top_p=None):
    return np.zeros(len(logits))


def _draw_greedy(rng, given, n):
    settings = [{}, {"top_k": 3}, {"top_p": 0.6}, {"top_k": 2, "top_p": 0.9}][n % 4]
    return (2 * rng.standard_normal(9 + n),), {"temperature": 0.0, "top_k": None, "top_p": None,
                                               **settings}


_DIVIDED = ("temperature 0 divides: inf / inf or 0 / 0 is nan. It is a case of its own, all "
            "probability on the largest logit")


def _divided(logits, *, temperature=0.0, top_k=None, top_p=None):
    hot = logits / temperature
    return softmax_forward(hot)[0]


GREEDY = Program("sampling at temperature 0", greedy, [
    ("divided-by-temperature-0", _nan, _DIVIDED),
    ("divided-by-temperature-0", _divided, _DIVIDED),
    ("divided-by-temperature-0", _zeros, "temperature 0 leaves no token at all: it is a case of "
     "its own, all probability on the largest logit"),
    ("temperature-0-ignored", _warm, "temperature 0 has no effect: it is a case of its own, all "
     "probability on the largest logit"),
    ("worst-for-best", lambda logits, **settings: greedy(-logits), "all probability is on the "
     "smallest logit: greedy takes the largest"),
    ("token-for-probabilities", _cold, "it gives the number of the best token: expected an array "
     "of V probabilities, 1 for that token and 0 for all others"),
], draw=_draw_greedy)


def _greedy_of(mine):
    def at_0(logits, *, temperature=0.0, top_k=None, top_p=None):
        try:
            return mine(logits, temperature=temperature, top_k=top_k, top_p=top_p)
        except ZeroDivisionError:
            return np.full(len(logits), np.nan)

    at_0.__name__ = "sampling at temperature 0"
    return at_0


def _exact_zero(mine):
    probs = np.asarray(mine(np.array([1.0, 4.0, 2.0, 3.0]), top_k=2))
    return probs[0] == 0 and probs[2] == 0


def _top_k_of_many(mine):
    logits = np.array([1.0, 2.0, 0.5])
    return bool(np.allclose(mine(logits, top_k=10), softmax_forward(logits)[0]))


def _one_sure(mine):
    probs = np.asarray(mine(np.log([0.6, 0.25, 0.1, 0.05]), top_p=0.5))
    return bool(np.allclose(probs, [1, 0, 0, 0]))


def _unchanged(mine):
    logits = np.array([1.0, 4.0, 2.0, 3.0])
    mine(logits, temperature=0.5, top_k=3, top_p=0.6)
    return bool((logits == [1.0, 4.0, 2.0, 3.0]).all())


def grade(mine, g):
    """The probabilities at many settings, greedy, and the edges."""
    for program in ALONE:
        g.values(program, mine.sampling)
    if not g.findings:
        for program in TOGETHER:
            g.values(program, mine.sampling)
    g.values(GREEDY, _greedy_of(mine.sampling))
    if g.findings:          # the probes would say it again
        return
    g.probe("not-exactly-0", "a token that is filtered out has the probability 0 exactly",
            lambda: _exact_zero(mine.sampling))
    g.probe("crossing-token-dropped", "top_p=0.5 keeps the best token where it alone has 0.6",
            lambda: _one_sure(mine.sampling))
    g.probe("top-k-of-many", "top_k=10 of 3 tokens keeps all of them",
            lambda: _top_k_of_many(mine.sampling))
    g.probe("in-place", "the logits given are unchanged", lambda: _unchanged(mine.sampling))


def after():
    """What the tail holds, measured."""
    v = 50257
    logits = np.full(v, 0.0)
    logits[0] = np.log(3.0 * v)
    probs = softmax_forward(logits)[0]
    return (f"Take GPT-2's {v:,} tokens, one with 3/4 of all probability and the others alike. "
            f"Each of these has {probs[1]:.1e}, and together they are drawn every "
            f"{1 / (1 - probs[0]):.0f}th time: in a text of 100 tokens without a single such draw "
            f"you would be lucky, at {probs[0]**100:.0e}. That is what top-k and top-p are for. "
            "They cut off a tail that is harmless token by token and ruinous as a whole.")
