"""Programs around the model, each written once, with the mistakes that people make in them.

Sampling, a cache, a difference quotient, entropy. `wrong` names the mistakes to make;
program_mistakes.toml says what they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...arrays import Array
from .layers import softmax
from .program import RIGHT, Function, Inputs, Settings, Value, Wrong, accepted, pick

Arrays = dict[str, Array]


def sampling(
    logits: Array, *, temperature: float = 1.0, top_k: int | None = None,
    top_p: float | None = None, wrong: Wrong = RIGHT,
) -> Array:
    """The probabilities (V,) of a draw: temperature, then top-k, then top-p."""
    # in both filters, in top-k, in top-p, in top-k with the last of equals first
    zero = wrong.get("filtered-to-0", 0)
    hidden, outside = (0.0 if zero in where else -math.inf for where in ((1, 2, 4), (1, 3)))
    hot = logits / pick(wrong, temperature, {
        "temperature-ignored": 1.0, "temperature-multiplied": 1 / temperature,
        "temperature-twice": temperature**2, "temperature-after-top-p": 1.0,
        "temperature-after-softmax": temperature if wrong.get("temperature-after-softmax") == 2
        else 1.0})

    def best(kept: Array) -> Array:
        if top_k is None or "top-k-ignored" in wrong:
            return kept
        if "top-k-from-below" in wrong:
            return np.where(kept >= np.sort(kept)[min(top_k, len(kept)) - 1], kept, hidden)
        if "top-k-smallest" in wrong:
            return np.where(kept <= np.sort(kept)[top_k - 1], kept, hidden)
        k = pick(wrong, top_k, {"top-k-one-more": top_k + 1, "top-k-one-less": top_k - 1})
        return np.where(kept >= np.sort(kept)[::-1][min(k, len(kept)) - 1], kept, hidden)

    def nucleus(kept: Array, mass: Array | None = None) -> Array:
        if top_p is None or "top-p-ignored" in wrong or (
                "top-p-if-no-top-k" in wrong and top_k is not None):
            return kept
        probs = softmax(kept) if mass is None else mass
        order = np.argsort(-probs, kind="stable")
        order = np.argsort(probs, kind="stable")[::-1] if zero == 4 else order
        order = pick(wrong, order, {"top-p-not-sorted": np.arange(len(probs)),
                                    "top-p-ascending": order[::-1]})
        sums = np.cumsum(probs[order])
        inside = sums - probs[order] < top_p
        inside = pick(wrong, inside, {
            "crossing-token-dropped": (sums <= top_p) | (np.arange(len(sums)) == 0),
            "one-token-too-many": np.r_[True, inside[:-1]]})
        out = np.full_like(kept, outside)
        out[order[inside]] = kept[order[inside]]
        return pick(wrong, out, {"not-put-back": np.where(inside, kept[order], outside),
                                 "mask-not-put-back": np.where(inside, kept, outside)})

    kept = best(nucleus(hot)) if "top-p-before-top-k" in wrong else nucleus(best(hot))
    kept = kept / temperature if "temperature-after-top-p" in wrong else kept
    probs = softmax(kept)
    if "not-renormalised" in wrong:     # after neither filter, or after top-p
        probs = softmax(hot if wrong["not-renormalised"] == 1 else best(hot)) * (probs > 0)
    if "top-p-of-all" in wrong:
        mass = softmax(hot) * (softmax(best(hot)) > 0)
        probs = mass * (softmax(nucleus(best(hot), mass)) > 0)
        probs = probs if top_p is None else probs / probs.sum()
    if "log-probabilities" in wrong:
        return np.asarray(np.log(probs))
    return probs / (temperature if "temperature-after-softmax" in wrong else 1)


def cached_attention(
    ids: Array, cache: Value, p: Arrays, *, wrong: Wrong = RIGHT
) -> tuple[Array, Value]:
    """Attention of new ids (S,) to themselves and all before, which the cache (keys, values) holds.

    p: wte (V, C), wpe (P, C), and q, k and v, (C, D).
    """
    past = cache or (np.zeros((0, p["k"].shape[1])), np.zeros((0, p["v"].shape[1])))
    new, old = len(ids), len(past[0])
    start = pick(wrong, old, {"positions-restart": 0, "positions-from-1": old + 1,
                              "position-of-call": new if old else 0,
                              "position-of-last": max(old - 1, 0), "offset-summed-twice": 2 * old})
    place = np.minimum(np.arange(start, start + new), len(p["wpe"]) - 1)
    x = p["wte"][ids] + p["wpe"][place]
    q, k, v = x @ p["q"], x @ p["k"], x @ p["v"]
    keys, values = np.concatenate([past[0], k]), np.concatenate([past[1], v])
    if "keys-prepended" in wrong:
        keys = np.concatenate([k, past[0]])
        if wrong["keys-prepended"] == 2:
            keys, values = np.concatenate([past[0], k]), np.concatenate([v, past[1]])
    seen = len(keys)

    def below(shift: int) -> Array:
        return np.tri(new, seen, shift, dtype=bool)

    visible = pick(wrong, below(seen - new), {
        "mask-top-left": below(0), "prompt-without-mask": below(seen),
        "own-position-hidden": below(
            seen - new - (old > 0 or wrong.get("own-position-hidden") == 2))})
    scale = 1.0 if "scale-forgotten" in wrong else math.sqrt(q.shape[-1])
    out = softmax(np.where(visible, q @ keys.T / scale, -math.inf)) @ values
    return out, pick(wrong, (keys, values), {
        "cache-overwritten": (k, v), "cache-never-filled": None,
        "cache-not-updated": past if old else (keys, values),
        "oldest-dropped": (keys[old > 0:], values[old > 0:])})


def run_cached(function: Function, inputs: Inputs, settings: Settings) -> Value:
    """The outputs for a prompt, and then for one token at a time, laid end to end."""
    ids, prompt, p = inputs
    given, cache, outs = accepted(function, settings), None, []
    for start, stop in [(0, prompt), *((n, n + 1) for n in range(prompt, len(ids)))]:
        result = function(ids[start:stop], cache, p, **given)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError("it must return (out, cache)")
        cache = result[1]
        outs.append(result[0])
    return np.concatenate(outs)


def numeric_gradient(
    f: Callable[[Array], float], x: Array, *, h: float = 1e-5, wrong: Wrong = RIGHT
) -> Array:
    """The derivative of f for every element of x, by central differences."""
    h = wrong.get("step-too-small", h)
    x = x.astype(float)
    out = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[pick(wrong, index, {"all-elements-at-once": (...,), "one-axis-only": index[:1]})] = h
        above, here, below = float(f(x + move)), float(f(x)), float(f(x - move))
        if "element-replaced" in wrong:
            above, below = (float(f(np.where(move, side * move, x))) for side in (1, -1))
        out[index] = pick(wrong, (above - below) / (2 * h), {
            "one-sided": (here - below) / h if wrong.get("one-sided") == 2 else (above - here) / h,
            "one-sided-halved": (above - here) / (2 * h),
            "two-forgotten": (above - below) / h,
            "brackets-forgotten": above - below / (2 * h)})
        if "x-not-put-back" in wrong:
            x = x - move
    return out


def attention_entropy(weights: Array, *, wrong: Wrong = RIGHT) -> Array:
    """The entropy of attention weights (B, H, T, T) in nats, a mean over B and T for each head."""
    def entropy(p: Array) -> Array:
        log = np.log(p + wrong.get("entropy-eps", 0.0))
        terms = p * log if "zero-log-zero" in wrong else np.where(p > 0, p * log, 0.0)
        return np.asarray(-terms.sum(-1))

    each = entropy(weights)
    each = np.exp(each) if wrong.get("entropy-exp") == 2 else each
    mean = pick(wrong, each.mean((0, 2)), {
        "mean-over-heads": each.mean(), "entropy-of-mean": entropy(weights.mean((0, 2))),
        "first-sequence-only": each[0].mean(-1), "first-row-left-out": each[:, :, 1:].mean((0, 2))})
    mean = mean / pick(wrong, 1.0, {
        "entropy-in-bits": math.log(2), "entropy-normalised": math.log(weights.shape[-1])})
    mean = mean / (weights.shape[-1] if "entropy-mean-over-keys" in wrong else 1)
    mean = -mean if "entropy-sign" in wrong else mean
    return np.asarray(np.exp(mean) if wrong.get("entropy-exp") == 1 else mean)
