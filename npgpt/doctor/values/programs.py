"""Programs around the model, each written once, with the mistakes that people make in them.

AdamW, clipping, accumulation, the schedule, sampling, a cache, BPE, windows of a text, a difference
quotient, entropy. `wrong` names the mistakes to make; mistakes.toml says what they are.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable

import numpy as np

from ...arrays import Array
from .layers import softmax
from .program import RIGHT, Function, Inputs, Settings, Value, Wrong, accepted, pick

Arrays = dict[str, Array]
Pair = tuple[bytes, bytes]


def adamw(
    params: Arrays, grads: Arrays, m: Arrays, v: Arrays, *, step: int, lr: float,
    betas: tuple[float, float], eps: float, weight_decay: float, wrong: Wrong = RIGHT,
) -> None:
    """One step in place, number `step` from 1; matrices decay, vectors do not."""
    b1, b2 = pick(wrong, betas, {"betas-swapped": betas[::-1], "betas-ignored": (0.9, 0.999)})
    for number, (name, p) in enumerate(params.items(), start=1):
        t = pick(wrong, step, {
            "step-from-0": step - 1, "step-from-2": step + 1, "beta-not-to-the-power": 1,
            "step-per-parameter": number + (step if wrong.get("step-per-parameter") == 2 else
                                            (step - 1) * len(params))})
        decays = p.ndim > 1 or "decay-on-biases" in wrong
        decays = p.ndim < 2 if "decay-on-vectors-only" in wrong else decays
        decay = weight_decay if decays and "decay-forgotten" not in wrong else 0.0
        g = grads[name] + (decay * p if "decay-in-gradient" in wrong else 0.0)
        if "moments-restart" in wrong:
            m[name][...] = v[name][...] = 0
        if "second-moment-restart" in wrong:
            v[name][...] = 0
        m[name][...] = b1 * m[name] + (1.0 if "beta1-not-complemented" in wrong else 1 - b1) * g
        before = m[name].copy(), v[name].copy()
        v[name][...] = b2 * v[name] + (1.0 if "beta2-not-complemented" in wrong else 1 - b2) * (
            g if "gradient-not-squared" in wrong else g * g)
        c1, c2 = 1 - b1**t, 1 - b2**t
        c1, c2 = pick(wrong, (c1, c2), {
            "correction-forgotten": (1, 1), "first-correction-forgotten": (1, c2),
            "second-correction-forgotten": (c1, 1),
            "correction-multiplied": (1 / np.float64(c1), 1 / np.float64(c2))})
        mhat, vhat = m[name] / c1, v[name] / c2
        if "moments-before-update" in wrong:
            mhat, vhat = before[0] / c1, before[1] / c2
        if "correction-kept" in wrong:
            m[name][...] = mhat
            v[name][...] = v[name] if wrong["correction-kept"] == 2 else vhat
        root = np.sqrt(vhat)
        update = lr * mhat / pick(wrong, root + eps, {
            "eps-inside-root": np.sqrt(vhat + eps), "eps-scaled": root + eps / np.sqrt(c2),
            "adam-eps-forgotten": root, "adam-root-forgotten": vhat + eps})
        update = pick(wrong, update, {
            "ascent": -update, "plain-gradient": lr * g, "never-updated": 0 * update})
        shrink = 1 - pick(wrong, lr * decay, {
            "decay-without-lr": decay, "decay-in-gradient": 0.0, "never-updated": 0.0,
            "decay-grows": -lr * decay,
            "ascent": lr * decay * (-1 if wrong.get("ascent") == 2 else 1)})
        p[...] = (p - update) * shrink if "decay-after-step" in wrong else p * shrink - update


def run_steps(function: Function, inputs: Inputs, settings: Settings) -> Value:
    """The parameters after each step; a function may return them, with or without m and v."""
    params, many = copy.deepcopy(inputs[0]), inputs[1]
    m, v = ({name: np.zeros_like(p) for name, p in params.items()} for _ in "mv")
    history = {}
    for step, grads in enumerate(many, start=1):
        out = function(params, copy.deepcopy(grads), m, v,
                       **accepted(function, settings | {"step": step}))
        if isinstance(out, tuple) and len(out) == 3:
            params, m, v = out
        elif out is not None:
            params = out
        history[f"step {step}"] = copy.deepcopy(params)
    return history


def clip(grads: Arrays, *, max_norm: float, wrong: Wrong = RIGHT) -> Arrays:
    """Gradients scaled so that the norm of all of them together is at most max_norm."""
    def scale(arrays: list[Array]) -> float:
        square = sum(float((a * a).sum()) for a in arrays)
        size = pick(wrong, math.sqrt(square), {
            "norm-without-root": square,
            "largest-for-norm": max(float(abs(a).max()) for a in arrays),
            "sum-of-absolutes": sum(float(abs(a).sum()) for a in arrays),
            "norm-of-last": math.sqrt(float((arrays[-1] * arrays[-1]).sum())),
            "sum-of-norms": sum(math.sqrt((a * a).sum()) for a in arrays),
            "norm-mean-for-sum": math.sqrt(square / sum(a.size for a in arrays))})
        factor = (1.0 if "limit-of-1" in wrong else max_norm) / (size + wrong.get("clip-eps", 0.0))
        if "limit-of-1" in wrong and size <= max_norm:
            return 1.0
        if "square-compared" in wrong and square > max_norm:
            return factor
        if "clip-condition-inverted" in wrong:
            return factor if size < max_norm else 1.0
        return factor if "always-scaled" in wrong else min(1.0, factor)

    factor = 1.0 if "not-clipped" in wrong else scale([*grads.values()])
    if "clipped-by-value" in wrong:
        return {name: np.clip(g, -max_norm, max_norm) for name, g in grads.items()}
    return {name: g * (scale([g]) if "clipped-per-tensor" in wrong else factor)
            for name, g in grads.items()}


def run_in_place(function: Function, inputs: Inputs, settings: Settings) -> Value:
    """The dict among what a function returns; the one it was given where it writes into that."""
    arrays = copy.deepcopy(inputs[0])
    out = function(arrays, **accepted(function, settings))
    parts = out if isinstance(out, tuple) else (out,)      # the norm may come with it
    return next((part for part in parts if isinstance(part, dict)), arrays)


def accumulate(grads: list[Arrays], counts: list[int], *, wrong: Wrong = RIGHT) -> Arrays:
    """The mean gradient over all tokens, from each micro-batch's mean and its number of tokens."""
    part = pick(wrong, slice(None), {
        "last-batch-lost": slice(-1), "zeroed-each-time": slice(-1, None),
        "first-batch-only": slice(1)})
    weights = [float(n) for n in counts[part]]
    whole = pick(wrong, sum(weights), {
        "accumulated-not-divided": 1.0, "divided-by-batches": float(len(weights)),
        "divided-by-last-count": weights[-1], "mean-of-batch-means": float(len(weights)),
        "sum-of-batch-means": 1.0})
    if {"mean-of-batch-means", "sum-of-batch-means"} & {*wrong}:
        weights = [1.0] * len(weights)
    if "first-counted-twice" in wrong:
        weights[0] *= 2
    return {name: np.asarray(sum(w * g[name] for w, g in zip(weights, grads[part], strict=True)))
            / whole for name in grads[0]}


def learning_rate(
    step: int, *, lr: float, min_lr: float, warmup: int, total: int, wrong: Wrong = RIGHT
) -> float:
    """Linear warm-up, then a cosine from lr to min_lr at step `total`; steps count from 0."""
    low = 0.0 if "least-forgotten" in wrong else min_lr
    ended = step > total if "end-inclusive" in wrong else step >= total
    if step < warmup and "warmup-missing" not in wrong:
        return pick(wrong, lr * (step + 1) / (warmup + 1), {
            "warmup-from-0": lr * step / warmup, "warmup-off-by-one": lr * (step + 1) / warmup,
            "warmup-from-least": min_lr + (lr - min_lr) * step / warmup})
    if ended and not {"no-end", "end-clamped"} & {*wrong}:
        return min_lr if wrong.get("least-forgotten") == 2 else low
    step = min(step, total) if "end-clamped" in wrong else step
    done = (step - warmup) / (total - warmup)
    angle = math.pi * pick(wrong, done, {
        "cosine-without-pi": done / math.pi, "cosine-from-step-0": step / total,
        "cosine-over-total": (step - warmup) / total, "cosine-whole-turn": 2 * done})
    height = pick(wrong, 0.5 * (1 + math.cos(angle)), {
        "linear-decay": 1 - done, "cosine-quarter": math.cos(0.5 * angle),
        "cosine-half-forgotten": 1 + math.cos(angle)})
    return pick(wrong, low + (lr - low) * height, {
        "least-added": low + lr * height, "least-not-added": (lr - low) * height,
        "least-as-floor": max(low, lr * height)})


def run_schedule(function: Function, inputs: Inputs, settings: Settings) -> Value:
    """The rate of every step, and of a few after the last."""
    given = accepted(function, settings)
    return [float(function(step, **given)) for step in range(settings["total"] + 4)]


def sampling(
    logits: Array, *, temperature: float = 1.0, top_k: int | None = None,
    top_p: float | None = None, wrong: Wrong = RIGHT,
) -> Array:
    """The probabilities (V,) of a draw: temperature, then top-k, then top-p."""
    zero = wrong.get("filtered-to-0", 0)        # in both filters, in top-k, in top-p
    hidden, outside = (0.0 if zero in where else -math.inf for where in ((1, 2), (1, 3)))
    hot = logits / pick(wrong, temperature, {
        "temperature-ignored": 1.0, "temperature-multiplied": 1 / temperature,
        "temperature-twice": temperature**2, "temperature-after-top-p": 1.0,
        "temperature-after-softmax": 1.0})

    def best(kept: Array) -> Array:
        if top_k is None or "top-k-ignored" in wrong:
            return kept
        if "top-k-from-below" in wrong:
            return np.where(kept >= np.sort(kept)[min(top_k, len(kept)) - 1], kept, hidden)
        if "top-k-smallest" in wrong:
            return np.where(kept <= np.sort(kept)[top_k - 1], kept, hidden)
        k = pick(wrong, top_k, {"top-k-one-more": top_k + 1, "top-k-one-less": top_k - 1})
        return np.where(kept >= np.sort(kept)[::-1][min(k, len(kept)) - 1], kept, hidden)

    def nucleus(kept: Array) -> Array:
        if top_p is None or "top-p-ignored" in wrong or (
                "top-p-if-no-top-k" in wrong and top_k is not None):
            return kept
        probs = softmax(kept)
        order = np.argsort(-probs, kind="stable")
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
    return pick(wrong, probs, {"temperature-after-softmax": probs / temperature,
                               "not-renormalised": softmax(hot) * (probs > 0)})


def cached_attention(
    ids: Array, cache: Value, p: Arrays, *, wrong: Wrong = RIGHT
) -> tuple[Array, Value]:
    """Attention of new ids (S,) to themselves and all before, which the cache (keys, values) holds.

    p: wte (V, C), wpe (P, C), and q, k and v, (C, D).
    """
    past = cache or (np.zeros((0, p["k"].shape[1])), np.zeros((0, p["v"].shape[1])))
    new, old = len(ids), len(past[0])
    start = pick(wrong, old, {"positions-restart": 0, "positions-from-1": old + 1,
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


def _merged(tokens: list[bytes], pair: Pair, only_first: bool = False) -> list[bytes]:
    """`pair` joined wherever it stands, or only at the first place, from the left."""
    out: list[bytes] = []
    n = 0
    while n < len(tokens):
        hit = tuple(tokens[n:n + 2]) == pair and not (only_first and len(out) < n)
        out.append(tokens[n] + tokens[n + 1] if hit else tokens[n])
        n += 2 if hit else 1
    return out


def _symbols(text: bytes, wrong: Wrong) -> list[bytes]:
    if "characters-for-bytes" in wrong:
        return [char.encode() for char in text.decode()]
    return [bytes([byte]) for byte in text]


def bpe_encode(text: bytes, merges: list[Pair], *, wrong: Wrong = RIGHT) -> list[bytes]:
    """The tokens of a piece of text: the pair of the lowest rank is merged, until none is left."""
    rank = {pair: n for n, pair in enumerate(merges)}
    tokens = _symbols(text, wrong)
    if "nothing-merged" in wrong:
        return tokens
    if "longest-match" in wrong:
        known = {left + right for left, right in merges} | {*tokens}
        out: list[bytes] = []
        while text:
            size = max(n for n in range(1, len(text) + 1) if text[:n] in known)
            out, text = [*out, text[:size]], text[size:]
        return out
    while pairs := [pair for pair in zip(tokens, tokens[1:], strict=False) if pair in rank]:
        best = pick(wrong, min(pairs, key=rank.__getitem__), {
            "merges-left-to-right": pairs[0],
            "highest-rank-first": max(pairs, key=rank.__getitem__),
            "merges-by-frequency": Counter(pairs).most_common(1)[0][0]})
        if "merged-right-to-left" in wrong:
            back = _merged([t[::-1] for t in tokens[::-1]], (best[1][::-1], best[0][::-1]))
            tokens = [t[::-1] for t in back[::-1]]
        else:
            tokens = _merged(tokens, best, wrong.get("merges-left-to-right") == 2)
        if "one-pair-only" in wrong:
            break
    return tokens


def bpe_train(text: bytes, count: int, *, wrong: Wrong = RIGHT) -> list[Pair]:
    """The first `count` merges of a text: the most frequent pair; of equals, the first in it."""
    tokens = _symbols(text, wrong)
    merges: list[Pair] = []
    while len(merges) < count and len(tokens) > 1:
        pairs = [*zip(tokens, tokens[1:], strict=False)]
        if "overlaps-not-counted" in wrong:
            kept: list[Pair] = []
            for n, pair in enumerate(pairs):
                # the second of two that overlap does not count, the third does
                kept.append(pair if not (n and pairs[n - 1] == pair == kept[-1]) else (b"", b""))
            pairs = [pair for pair in kept if pair[0]]
        counted = Counter(pairs)
        if "by-counts-at-start" in wrong:
            return [pair for pair, _ in counted.most_common(count)]
        most = max(counted.values())
        equal = [pair for pair in counted if counted[pair] == most]
        best = pick(wrong, equal[0], {
            "ties-by-largest": max(equal), "ties-by-smallest": min(equal),
            "ties-by-last": equal[-1], "pairs-not-counted": pairs[0],
            "least-frequent": min(counted, key=counted.__getitem__)})
        merges.append((best[1], best[0]) if "pair-reversed" in wrong else best)
        if "text-not-merged" not in wrong:
            tokens = _merged(tokens, best, "first-place-only" in wrong)
    return merges


def windows(ids: Array, *, length: int, wrong: Wrong = RIGHT) -> tuple[Array, Array]:
    """Inputs and targets (N, length) of a text's ids, without overlap; targets are one further."""
    shift = pick(wrong, 1, {"targets-not-shifted": 0, "targets-shifted-twice": 2,
                            "targets-are-previous": -1})
    starts = np.arange(0, len(ids) - length, length)
    if "window-one-short" in wrong:
        starts = starts[:-1]
    rows = starts[:, None] + np.arange(length)
    both = ids[rows], ids[np.clip(rows + shift, 0, len(ids) - 1)]
    return both[::-1] if "inputs-and-targets-swapped" in wrong else both


def numeric_gradient(
    f: Callable[[Array], float], x: Array, *, h: float = 1e-5, wrong: Wrong = RIGHT
) -> Array:
    """The derivative of f for every element of x, by central differences."""
    h = wrong.get("step-too-small", h)
    x = x.astype(float)
    out = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[... if "all-elements-at-once" in wrong else index] = h
        above, here, below = float(f(x + move)), float(f(x)), float(f(x - move))
        out[index] = pick(wrong, (above - below) / (2 * h), {
            "one-sided": (above - here) / h, "one-sided-halved": (above - here) / (2 * h),
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
    mean = each.mean((0, 2))
    return pick(wrong, mean, {
        "entropy-sign": -mean, "entropy-in-bits": mean / math.log(2),
        "entropy-mean-over-keys": mean / weights.shape[-1], "mean-over-heads": mean.mean(),
        "entropy-of-mean": entropy(weights.mean((0, 2)))})
