"""AdamW, clipping, accumulation and the schedule, with the mistakes that people make in them.

Each is written once; `wrong` names the mistakes to make, program_mistakes.toml what they are.
"""

from __future__ import annotations

import copy
import math

import numpy as np

from ...arrays import Array
from .program import RIGHT, Function, Inputs, Settings, Value, Wrong, accepted, pick

Arrays = dict[str, Array]


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
        kept = 1.0 if "first-moment-summed" in wrong else b1
        m[name][...] = kept * m[name] + (1.0 if "beta1-not-complemented" in wrong else 1 - b1) * g
        before, old = (m[name].copy(), v[name].copy()), v[name].copy()
        square = pick(wrong, g * g, {
            "gradient-not-squared": abs(g) if wrong.get("gradient-not-squared") == 2 else g,
            "moment-squared": m[name]**2, "deviation-squared": (g - m[name])**2})
        kept = pick(wrong, b2, {"second-moment-summed": 1.0, "beta1-for-both": b1})
        new = pick(wrong, 1 - b2, {
            "beta2-not-complemented": 1.0, "beta1-for-both": 1 - b1,
            "second-moment-summed": 1 - b2 if wrong.get("second-moment-summed") == 2 else 1.0})
        v[name][...] = kept * v[name] + new * square
        if "second-moment-maximum" in wrong:
            v[name][...] = np.maximum(v[name], old)
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
            v[name][...] = vhat if wrong["correction-kept"] == 1 else v[name]
            mhat = mhat / c1 if wrong["correction-kept"] == 3 else mhat     # and again
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
            "norm-of-matrices": math.sqrt(sum(float((a * a).sum()) for a in arrays if a.ndim > 1)),
            "sum-of-norms": sum(math.sqrt((a * a).sum()) for a in arrays),
            "norm-mean-for-sum": math.sqrt(square / sum(a.size for a in arrays))})
        factor = (1.0 if "limit-of-1" in wrong else max_norm) / (size + wrong.get("clip-eps", 0.0))
        if "limit-of-1" in wrong and size <= max_norm:
            return 1.0
        if "square-compared" in wrong and square > max_norm:
            return factor
        if "clip-upside-down" in wrong:
            return max(1.0, 1 / factor)
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
        "divided-by-last-count": weights[-1], "divided-by-largest-count": max(weights),
        "mean-of-batch-means": float(len(weights)), "sum-of-batch-means": 1.0})
    if {"mean-of-batch-means", "sum-of-batch-means", "means-over-tokens"} & {*wrong}:
        weights = [1.0] * len(weights)
    if "weights-inverted" in wrong:
        weights = [1 / n for n in weights]
        whole = sum(weights)
    if "running-halves" in wrong:       # each new one is averaged with all before
        weights = [0.5 ** min(n + 1, len(weights) - 1) for n in range(len(weights))][::-1]
        whole = 1.0
    if wrong.get("zeroed-each-time") == 2:
        whole = float(sum(counts))
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
            "warmup-one-behind": lr * step / (warmup + 1),
            "warmup-from-least": min_lr + (lr - min_lr) * (
                step / warmup if wrong.get("warmup-from-least") == 1 else
                (step + 1) / (warmup + 1) if wrong.get("warmup-from-least") == 2 else
                (step + 1) / warmup)})
    if ended and not {"no-end", "end-clamped"} & {*wrong}:
        low = min_lr if wrong.get("least-forgotten") == 2 else low
        return 0.0 if "zero-after-end" in wrong else low
    step = min(step, total) if "end-clamped" in wrong else step
    done = (step - warmup) / (total - warmup)
    angle = math.pi * pick(wrong, done, {
        "cosine-without-pi": done / math.pi, "cosine-from-step-0": step / total,
        "cosine-over-total": (step - warmup) / total, "cosine-whole-turn": 2 * done})
    height = pick(wrong, 0.5 * (1 + math.cos(angle)), {
        "linear-decay": 1 - done, "cosine-rises": 0.5 * (1 - math.cos(angle)),
        "cosine-quarter": math.cos(0.5 * angle),
        "cosine-half-forgotten": 1 + math.cos(angle)})
    return pick(wrong, low + (lr - low) * height, {
        "least-added": low + lr * height, "least-not-added": (lr - low) * height,
        "least-as-floor": max(low, lr * height)})


def run_schedule(function: Function, inputs: Inputs, settings: Settings) -> Value:
    """The rate of every step, and of a few after the last."""
    given = accepted(function, settings)
    return [float(function(step, **given)) for step in range(settings["total"] + 4)]
