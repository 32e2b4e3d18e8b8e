"""Attention and the block, each written once, with the mistakes that people make in them."""

from __future__ import annotations

import math

import numpy as np

from ...arrays import Array
from .layers import gelu, layernorm, linear, softmax
from .program import RIGHT, Wrong, pick


def attention_weights(q: Array, k: Array, *, width: int = 0, wrong: Wrong = RIGHT) -> Array:
    """softmax(q @ k.T / sqrt(D)) up to the diagonal; `width` is that of all heads together."""
    d, t, s = q.shape[-1], q.shape[-2], k.shape[-2]
    scores = q @ (q if "queries-for-keys" in wrong and t == s else k).swapaxes(-1, -2)
    if "q-k-swapped" in wrong and t == s:
        scores = scores.swapaxes(-1, -2)
    scores = scores * pick(wrong, 1 / math.sqrt(d), {
        "scale-forgotten": 1.0, "scale-no-root": 1 / d, "scale-multiplied": math.sqrt(d),
        "scale-after-softmax": 1.0,
        "scale-of-length": 1 / math.sqrt(t if wrong.get("scale-of-length") == 2 else s),
        "scale-of-full-width": 1 / math.sqrt(width or d),
        "scale-of-head-count": 1 / math.sqrt(width // d if width else d)})

    def below(shift: int) -> Array:
        return np.tri(t, s, s - t + shift, dtype=bool)

    hidden: Array | float = pick(wrong, -math.inf, {
        "mask-multiplied": 0.0, **{kind: wrong[kind] for kind in (
            "mask-too-weak", "own-position-hidden") if kind in wrong}})
    added = wrong.get("mask-added-too-weak", -wrong.get("own-position-hidden", 0))
    if added < 0 and math.isfinite(added):
        hidden = scores + added
    visible = pick(wrong, below(0), {
        "mask-missing": np.ones((t, s), bool), "mask-after-softmax": np.ones((t, s), bool),
        "mask-wrong-triangle": ~below(-1), "mask-hides-past": ~below(0),
        "own-position-hidden": below(-1), "mask-sees-one-ahead": below(1),
        "mask-top-left": np.tri(t, s, dtype=bool),
        "mask-window": below(0) & ~below(-int(wrong.get("mask-window", 0)))})
    if wrong.get("softmax-not-normalised") == 2:
        return softmax(scores, wrong=wrong) * below(0)
    scores = pick(wrong, np.where(visible, scores, hidden), {
        "mask-of-ones-added": scores + visible,
        "zero-times-infinity": scores + np.where(visible, np.nan, -np.inf)})
    weights = softmax(scores, wrong=wrong) / (
        math.sqrt(d) if "scale-after-softmax" in wrong else 1)
    return weights * below(0) if "mask-after-softmax" in wrong else weights


def causal_attention(
    q: Array, k: Array, v: Array, *, width: int = 0, wrong: Wrong = RIGHT
) -> Array:
    """Weights of the keys times the values: q (..., T, D), k and v (..., S, D)."""
    if "softmax-left-out" in wrong:
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
        return np.asarray(np.tril(scores, scores.shape[-1] - scores.shape[-2]) @ v)
    weights = attention_weights(q, k, width=width, wrong=wrong)
    if "weights-transposed" in wrong and weights.shape[-1] == weights.shape[-2]:
        weights = weights.swapaxes(-1, -2)
    return np.asarray(weights @ (k if "keys-for-values" in wrong else v))


def split_heads(qkv: Array, which: str, *, n_head: int, wrong: Wrong = RIGHT) -> Array:
    """q, k or v ("q", "k" or "v") of qkv (B, T, 3C): (B, H, T, D)."""
    b, t, d = *qkv.shape[:2], qkv.shape[2] // 3 // n_head
    if "heads-split-first" in wrong:
        return qkv.reshape(b, t, n_head, 3, d)[..., "qkv".index(which), :].swapaxes(1, 2)
    order = next((kind[-3:] for kind in wrong if kind.startswith("qkv-read-as")), "qkv")
    part = np.split(qkv, 3, axis=-1)[order.index(which)]
    right = part.reshape(b, t, n_head, d).swapaxes(1, 2)
    if wrong.get("heads-split-bare", 1) not in (1, "qkv".index(which) + 2):
        return right        # q alone, k alone, v alone
    return pick(wrong, right, {
        "heads-split-bare": part.reshape(b, n_head, t, d),
        "heads-dealt": part.reshape(b, t, d, n_head).transpose(0, 3, 1, 2)})


def merge_heads(heads: Array, *, wrong: Wrong = RIGHT) -> Array:
    """Heads (B, H, T, D) side by side: (B, T, C)."""
    b, h, t, d = heads.shape
    return pick(wrong, heads.swapaxes(1, 2), {
        "heads-merged-bare": heads, "heads-merged-dealt": heads.transpose(0, 2, 3, 1),
        "heads-reversed": heads[:, ::-1].swapaxes(1, 2),
    }).reshape(b, t, h * d)


def mixed_heads(weights: Array, v: Array, *, wrong: Wrong = RIGHT) -> Array:
    """What every head reads with its weights, side by side: (B, T, C)."""
    if "weights-transposed" in wrong:
        weights = weights.swapaxes(-1, -2)
    return merge_heads(weights @ v, wrong=wrong)


def multi_head_attention(qkv: Array, *, n_head: int, wrong: Wrong = RIGHT) -> Array:
    """Causal attention of every head over qkv (B, T, 3C): (B, T, C)."""
    c = qkv.shape[-1] // 3
    n_head = pick(wrong, n_head, {"one-head": 1, "head-count-for-size": c // n_head})
    q, k, v = (split_heads(qkv, which, n_head=n_head, wrong=wrong) for which in "qkv")
    if "keys-of-first-head" in wrong:
        k, v = k[:, :1], v[:, :1]
    if "attention-across-heads" in wrong:
        q, k, v = (part.swapaxes(1, 2) for part in (q, k, v))
        if wrong["attention-across-heads"] == 2:
            wrong = {**wrong, "mask-missing": 1.0}
        return causal_attention(q, k, v, width=c, wrong=wrong).reshape(*qkv.shape[:2], c)
    return merge_heads(causal_attention(q, k, v, width=c, wrong=wrong), wrong=wrong)


def residual(
    x: Array, out: Array, normed: Array | None = None, start: Array | None = None, *,
    wrong: Wrong = RIGHT,
) -> Array:
    """x plus the branch's `out`; `normed` is what the branch read, `start` the block's input."""
    return np.asarray(pick(wrong, x + out, {
        "residual-missing": out, "residual-from-norm": out + (x if normed is None else normed),
        "second-residual-from-input": out + (x if start is None else start)}))


def second_norm(
    x: Array, weight: Array, bias: Array, first: tuple[Array, Array], *, eps: float = 1e-5,
    wrong: Wrong = RIGHT,
) -> Array:
    """The norm before the feed-forward; `first` are weight and bias of that before attention."""
    weight, bias = first if "one-norm-twice" in wrong else (weight, bias)
    return layernorm(x, weight, bias, eps=eps, wrong=wrong)


def block(
    x: Array, p: dict[str, Array], *, n_head: int, eps: float = 1e-5, wrong: Wrong = RIGHT
) -> Array:
    """One block over x (B, T, C), with its parameters by GPT-2's names inside a block."""
    def norm(x: Array, name: str, for_post: bool = False) -> Array:
        if for_post != ("norm-after-residual" in wrong) or f"{name}-left-out" in wrong:
            return x
        name = "ln_1" if "one-norm-twice" in wrong else name
        return layernorm(x, p[f"{name}.weight"], p[f"{name}.bias"], eps=eps, wrong=wrong)

    def project(x: Array, name: str) -> Array:
        bias, names = p.get(f"{name}.bias"), (name.partition(".")[2], name.replace(".", "-"))
        forgotten = any(f"{name}-bias-forgotten" in wrong for name in names)
        return linear(x, p[f"{name}.weight"], None if forgotten else bias, wrong=wrong)

    def attend(y: Array) -> Array:
        out = multi_head_attention(project(y, "attn.c_attn"), n_head=n_head, wrong=wrong)
        return out if "attn-projection-left-out" in wrong else project(out, "attn.c_proj")

    def feed(y: Array) -> Array:
        return project(gelu(project(y, "mlp.c_fc"), wrong=wrong), "mlp.c_proj")

    first, second = pick(wrong, (attend, feed), {"feed-forward-first": (feed, attend)})
    names = ("ln_2", "ln_1") if "feed-forward-first" in wrong else ("ln_1", "ln_2")
    y = norm(x, names[0])
    out = first(y)
    where = wrong.get("residual-from-norm", 0)      # both, the first, the second
    middle = out if "first-residual-missing" in wrong else residual(
        x, out, y if where < 3 else x, wrong=wrong)
    middle = norm(middle, "ln_1", for_post=True)
    y = norm(x if "mlp-reads-block-input" in wrong else middle, names[1])
    out = 0 * x if "feed-forward-left-out" in wrong else second(y)
    out = out if "second-residual-missing" in wrong else residual(
        middle, out, y if where != 2 else middle, x, wrong=wrong)
    out = norm(out, "ln_2", for_post=True)
    if "output-normed" in wrong:
        name = "ln_1" if wrong["output-normed"] == 2 else "ln_2"
        out = layernorm(out, p[f"{name}.weight"], p[f"{name}.bias"], eps=eps)
    return out
