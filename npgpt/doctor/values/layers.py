"""The layers of GPT-2, each written once, with the mistakes that people make in their forward.

`wrong` names the mistakes to make; mistakes.toml says what they are.
"""

from __future__ import annotations

import math

import numpy as np

from ...arrays import Array
from ...layers.erf import normal_cdf
from .program import RIGHT, Inputs, Settings, Value, Wrong, pick, sentences

IGNORE = -100


def layernorm(
    x: Array, weight: Array, bias: Array, *, eps: float = 1e-5, wrong: Wrong = RIGHT
) -> Array:
    """x (..., C) normalised over its channels, times weight (C,), plus bias (C,)."""
    axes: tuple[int, ...] = pick(wrong, (-1,), {
        "norm-over-positions": (-2,), "norm-over-everything": (*range(1, x.ndim),),
        "norm-over-batch": (*range(x.ndim - 1),)})
    eps = wrong.get("wrong-eps", eps)
    centred = x - x.mean(axes, keepdims=True)
    if "rms-norm" in wrong:
        centred = x
    var = ((x if "variance-not-centred" in wrong else centred)**2).mean(axes, keepdims=True)
    if "mean-not-squared" in wrong:
        var = (x * x).mean(axes, keepdims=True) - x.mean(axes, keepdims=True)
        var = abs(var) if wrong["mean-not-squared"] == 2 else var
    if "unbiased-variance" in wrong:
        var = var * x.size / max(x.size - var.size, 1)
    root = pick(wrong, np.sqrt(var + eps), {
        "eps-outside-root": np.sqrt(var) + eps, "eps-twice": np.sqrt(var + eps) + eps,
        "root-forgotten": var + eps,
        "length-for-deviation": np.sqrt(var * x.size / var.size + eps),
        "not-divided-by-deviation": np.ones_like(var)})
    xhat = (x if "mean-not-subtracted" in wrong else centred) / root
    return pick(wrong, xhat * weight + bias, {
        "affine-forgotten": xhat, "gain-forgotten": xhat + bias,
        "norm-bias-forgotten": xhat * weight, "bias-before-weight": (xhat + bias) * weight,
        "weight-plus-one": xhat * (1 + weight) + bias, "norm-left-out": x})


def softmax(x: Array, *, wrong: Wrong = RIGHT) -> Array:
    """exp of x (..., N), each row divided by its sum."""
    axis = pick(wrong, (-1,), {"softmax-wrong-axis": (-2,) if x.ndim > 1 else (-1,),
                               "softmax-over-everything": (*range(x.ndim),)})
    # people also take the maximum of each row, and only the sum goes wrong
    top = (-1,) if 2 in (wrong.get("softmax-wrong-axis"),
                         wrong.get("softmax-over-everything")) else axis
    x = -x if "softmax-sign" in wrong else x / wrong.get("temperature-left-in", 1.0)
    shifted = x - pick(wrong, x.max(top, keepdims=True), {
        "no-max-subtracted": np.zeros_like(x), "max-of-everything": x.max(keepdims=True)})
    exps = np.exp2(shifted) if "softmax-base-2" in wrong else np.exp(shifted)
    if "max-after-exp" in wrong:
        exps = np.exp(x) - x.max(top, keepdims=True)
    sums = exps.sum(axis, keepdims=True)
    if "keepdims-forgotten" in wrong and x.ndim == 2 and x.shape[0] == x.shape[1]:
        sums = sums.T
    out = exps / pick(wrong, sums + wrong.get("eps-in-sum", 0.0), {
        "sum-of-scores": x.sum(axis, keepdims=True),
        "sum-unshifted": np.exp(x).sum(axis, keepdims=True)})
    if "softmax-twice" in wrong:
        return softmax(out)
    if "log-softmax" in wrong:
        return np.asarray(np.log(out) if wrong["log-softmax"] == 2 else shifted - np.log(sums))
    if "sigmoid-for-softmax" in wrong:
        return np.asarray(1 / (1 + np.exp(-x)))
    return exps if "softmax-not-normalised" in wrong else np.asarray(out)


def gelu(x: Array, *, form: str = "gelu_new", wrong: Wrong = RIGHT) -> Array:
    """x times the probability that a normal variable is below it; `form` as Hugging Face names it.
    """
    form = pick(wrong, form, {"gelu-exact": "gelu", "gelu-tanh": "gelu_new"})
    if form == "gelu":
        cdf = normal_cdf(x * math.sqrt(2) * wrong.get("erf-not-scaled", math.sqrt(0.5)))
    else:
        root = wrong.get("gelu-root", math.sqrt(2 / math.pi))
        cube = wrong.get("gelu-constant", 0.044715) * (x * x if "gelu-cubic" in wrong else x**3)
        inner = pick(wrong, root * (x + cube), {
            "gelu-brackets": root * x + cube, "gelu-x-forgotten": root * cube})
        inner = -inner if "gelu-minus-tanh" in wrong else inner
        cdf = 0.5 * ((0 if "gelu-one-forgotten" in wrong else 1) + np.tanh(inner))
    cdf = 2 * cdf if "gelu-half-forgotten" in wrong else cdf
    sigmoid_of = {"gelu-quick": wrong.get("gelu-quick", 1.702),
                  "gelu-sigmoid": math.sqrt(8 / math.pi), "gelu-is-silu": 1.0}
    right = {"relu": np.maximum(x, 0), "silu": x / (1 + np.exp(-x)), "identity": x}
    return np.asarray(pick(wrong, right.get(form, x * cdf), {
        **{kind: x / (1 + np.exp(-c * x)) for kind, c in sigmoid_of.items()},
        "gelu-is-relu": np.maximum(x, 0), "gelu-is-tanh": np.tanh(x), "gelu-identity": x,
        "gelu-is-mish": x * np.tanh(np.logaddexp(0, x)),
        "gelu-density": x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
        "gelu-exact": x * cdf, "gelu-tanh": x * cdf, "gelu-factor-forgotten": cdf}))


def linear(x: Array, weight: Array, bias: Array | None, *, wrong: Wrong = RIGHT) -> Array:
    """x (..., I) @ weight (I, O) + bias (O,)."""
    square = weight.shape[0] == weight.shape[1]
    out = x @ pick(wrong, weight, {
        "weight-transposed": weight.T if square else weight,
        "weight-column-order": weight.T.reshape(weight.shape),
        "weight-read-out-in": weight.reshape(weight.shape[::-1]).T})
    if "linear-in-half" in wrong:
        precision = "e" if wrong["linear-in-half"] == 1 else "d"    # of the product, or the inputs
        half, halves = (a.astype("e").astype(precision) for a in (x, weight))
        out = (half @ halves).astype(float)
    out = pick(wrong, out, {
        "last-input-left-out": x[..., :-1] @ weight[:-1], "sum-not-reset": np.cumsum(out, -1),
        "linear-mean-for-sum": out / len(weight)})
    if bias is None or "linear-bias-forgotten" in wrong:
        return np.asarray(out)
    return np.asarray(out + pick(wrong, bias, {
        "linear-bias-twice": 2 * bias, "linear-bias-subtracted": -bias,
        "first-bias-for-all": bias[:1],
        "bias-by-position": np.resize(bias, (*x.shape[-2:-1], 1))}))


def feed_forward(
    x: Array, fc_weight: Array, fc_bias: Array | None, proj_weight: Array,
    proj_bias: Array | None, *, form: str = "gelu_new", wrong: Wrong = RIGHT,
) -> Array:
    """gelu(x @ fc_weight + fc_bias) @ proj_weight + proj_bias."""
    first = "activation-first" in wrong
    late = "bias-after-activation" in wrong and fc_bias is not None
    hidden = linear(gelu(x, form=form) if first else x, fc_weight,
                    None if late or "fc-bias-forgotten" in wrong else fc_bias, wrong=wrong)
    twice = wrong.get("activation-first") == 2      # and again in its place
    active = hidden if first and not twice else gelu(hidden, form=form, wrong=wrong)
    out = linear(active + fc_bias if late else active, proj_weight,
                 None if "proj-bias-forgotten" in wrong else proj_bias, wrong=wrong)
    if "residual-inside" in wrong:
        out = x + out
    return gelu(out, form=form) if "activation-twice" in wrong else out


def cross_entropy(logits: Array, targets: Array, *, wrong: Wrong = RIGHT) -> Array:
    """The mean of -log softmax(logits (..., V))[target] over the targets that are not -100."""
    if "targets-shifted-again" in wrong:
        logits, targets = logits[..., :-1, :], targets[..., 1:]
    if "targets-not-shifted" in wrong:
        targets = np.roll(targets, 1, -1)
    logits = softmax(logits) if "softmax-twice" in wrong else logits
    counted = targets != IGNORE
    ids = np.where(counted, targets, 0)
    if "ignored-as-token-0" in wrong:
        counted = np.ones_like(counted)
    if "targets-from-1" in wrong:
        ids = ids - 1
    axis = -2 if "softmax-wrong-axis" in wrong and logits.ndim > 1 else -1
    whole = logits.max(-1 if wrong.get("softmax-wrong-axis") == 2 else axis, keepdims=True)
    top = pick(wrong, whole, {"no-max-subtracted": 0 * whole,
                              "max-of-everything": 0 * whole + logits.max()})
    log_sum = np.log(np.exp(logits - top).sum(axis, keepdims=True))
    log_p = pick(wrong, logits - top - log_sum, {
        "logsumexp-forgotten": logits, "shift-not-added-back": logits - log_sum})
    if "binary-cross-entropy" in wrong:
        others = np.log1p(-np.minimum(np.exp(log_p), 1 - 1e-12))
        log_p = log_p + others.sum(-1, keepdims=True) - others
    if "label-smoothing" in wrong:
        part = wrong["label-smoothing"]
        log_p = (1 - part) * log_p + part * log_p.mean(-1, keepdims=True)
    if "eps-in-log" in wrong:
        log_p = np.log(np.exp(log_p) + wrong["eps-in-log"])
    picked = np.take_along_axis(log_p, ids[..., None], -1)[..., 0]
    if {"log-forgotten", "log-of-mean"} & {*wrong}:
        picked = np.exp(picked)
    picked = np.where(counted, picked, 0.0)
    number = max(float(counted.sum()), 1.0)
    loss = -picked.sum() / pick(wrong, number, {
        "loss-not-averaged": 1.0, "ignored-in-mean": targets.size,
        "mean-over-batch": len(targets) if targets.ndim else 1,
        "mean-over-length": targets.shape[-1] if targets.ndim else 1,
        "mean-over-vocabulary": number * logits.shape[-1]})
    loss = pick(wrong, loss, {
        "log-of-mean": -np.log(-loss),
        "mean-of-means": -(picked.sum(-1) / counted.sum(-1)).mean()})
    loss = -loss if "loss-sign" in wrong else loss
    loss = loss / math.log(2) if "loss-in-bits" in wrong else loss
    return np.asarray(np.exp(loss) if "perplexity" in wrong else loss)


def token_embedding(
    ids: Array, wte: Array, wpe: Array | None = None, *, wrong: Wrong = RIGHT
) -> Array:
    """wte[ids]; `wpe` are positions that should not be added yet."""
    if "positions-added" in wrong and wpe is not None:
        return embedding(ids, wte, wpe)
    return np.asarray(wte[np.minimum(ids + int(wrong.get("ids-from-1", 0)), len(wte) - 1)])


def embedding(ids: Array, wte: Array, wpe: Array, *, wrong: Wrong = RIGHT) -> Array:
    """wte[ids] + wpe[0, 1, ...]: ids (B, T), wte (V, C), wpe (P, C)."""
    token = token_embedding(ids, wte, wrong=wrong)
    root = math.sqrt(wte.shape[-1]) if "embedding-scaled" in wrong else 1.0
    root = 1 / root if wrong.get("embedding-scaled") == 3 else root
    token = root * token
    place: Array = np.arange(ids.shape[-1])
    place = pick(wrong, place, {
        "positions-from-1": place + 1, "positions-constant": 0 * place,
        "positions-reversed": place[::-1], "positions-by-id": ids,
        "positions-by-sequence": np.arange(len(ids))[:, None],
        "positions-run-on": np.arange(ids.size).reshape(ids.shape),
        "positions-of-last-rows": place + len(wpe) - len(place)})
    rows = wpe[place % len(wpe)] * (root if wrong.get("embedding-scaled") == 2 else 1)
    if "positions-sinusoidal" in wrong:
        channel = np.arange(wte.shape[-1])
        angle = place[:, None] / 10000**(2 * (channel // 2) / len(channel))
        rows = np.where(channel % 2, np.cos(angle), np.sin(angle))
    return np.asarray(pick(wrong, token + rows, {
        "positions-missing": token, "positions-multiplied": token * rows}))


def unembedding(
    x: Array, matrix: Array, weight: Array, bias: Array, other: Array | None = None, *,
    eps: float = 1e-5, wrong: Wrong = RIGHT,
) -> Array:
    """The logits: LayerNorm of x (..., C), times matrix.T; `other` is a matrix that is not meant.
    """
    if not {"final-norm-left-out", "norm-after-matrix"} & {*wrong}:
        x = layernorm(x, weight, bias, eps=eps, wrong=wrong)
    if "last-position-only" in wrong:
        last = [x[..., -1:, :], x[..., -1, :], 0 * x + x[..., -1:, :]]
        x = last[int(wrong["last-position-only"]) - 1]
    if "tied-but-untied" in wrong and other is not None:
        matrix = other
    logits = x @ matrix.T / (math.sqrt(x.shape[-1]) if "logits-scaled" in wrong else 1)
    if "norm-after-matrix" in wrong:
        logits = layernorm(logits, np.ones(len(matrix)), np.zeros(len(matrix)), eps=eps)
    return softmax(logits) if "softmax-on-logits" in wrong else np.asarray(logits)


def dropout(
    x: Array, kept: Array, *, rate: float, rng: np.random.Generator | None = None,
    training: bool = True, wrong: Wrong = RIGHT,
) -> dict[str, Value]:
    """x where kept, scaled up; the probability to keep; whether each element is drawn by itself.

    At evaluation x itself. What an rng draws is not needed here: `kept` is what was drawn.
    """
    def seen(out: Array, fraction: float) -> dict[str, Value]:
        alike = "one-mask-for-all" in wrong and fraction < 1
        return {"out": out, "the fraction kept": fraction, "each drawn by itself": 1.0 - alike}

    keep = 1 - rate
    if "nothing-dropped" in wrong:
        return seen(x, 1.0)
    training = training != ("dropout-flag-inverted" in wrong)
    if not training and "dropout-at-evaluation" not in wrong:
        return seen(x * (keep if "scaled-at-evaluation" in wrong else 1), 1.0)
    scale = pick(wrong, 1 / keep, {"dropout-not-rescaled": 1.0, "dropout-scaled-down": keep,
                                   "dropout-scaled-by-rate": 1 / rate,
                                   "dropout-rescaled-twice": 1 / keep**2})
    return seen(x * kept * scale, pick(wrong, keep, {
        "keep-for-drop": rate, "another-part-kept": float(kept.mean())}))


def kept_by_dropout(inputs: Inputs, settings: Settings, got: Value) -> tuple[Inputs, Value]:
    """What dropout kept is seen in the result, so that any way to draw it is right."""
    out = np.asarray(got[0] if isinstance(got, tuple) else got)     # (out, cache)
    x, rate = np.asarray(inputs[0]), settings["rate"]
    kept = out != 0 if out.shape == x.shape else np.ones_like(x, bool)
    fraction = float(kept.mean())
    spread = 5 * math.sqrt(rate * (1 - rate) / max(x.size, 1))
    alike = [axis for axis in range(x.ndim) if (kept == kept.take([0], axis)).all()
             # as good as impossible by chance
             and (1 - 2 * rate * (1 - rate))**(x.size * (1 - 1 / x.shape[axis])) < 1e-6]
    if alike and not kept.all():
        spread *= math.sqrt(x.shape[alike[0]])      # so few were drawn
    near = [p for p in (1 - rate, rate) if abs(fraction - p) <= spread and not kept.all()]
    return (x, kept), {"out": out, "the fraction kept": near[0] if near else fraction,
                       "each drawn by itself": 0.0 if alike and not kept.all() else 1.0}


def tied_table_gradient(ids: Array, dtoken: Array, head: Array, *, wrong: Wrong = RIGHT) -> Array:
    """The gradient of a table (V, C) used at both ends: `head` is the output matrix's part."""
    lookup, last = np.zeros_like(head), np.zeros_like(head)
    np.add.at(lookup, ids, dtoken)
    last[ids] = dtoken
    return pick(wrong, lookup + head, {
        "output-part-missing": lookup, "lookup-part-missing": head,
        "repeated-ids-overwritten": last + head})


def weight_gradient(gradient: Array, *, wrong: Wrong = RIGHT) -> Array:
    """The gradient of a linear weight (I, O), in its own layout."""
    return gradient.T.reshape(gradient.shape) if "gradient-out-in" in wrong else gradient


def bias_gradient(d: Array, *, wrong: Wrong = RIGHT) -> Array:
    """The gradient of a bias (C,) from that of what it was added to, (..., C)."""
    positions = tuple(range(d.ndim - 1))
    return np.asarray(pick(wrong, d.sum(positions), {
        "first-sequence-only": d[0].sum(positions[:-1]), "mean-for-sum": d.mean(positions)}))


def stream_gradient(branch: Array, through: Array, *, wrong: Wrong = RIGHT) -> Array:
    """The gradient of what a branch reads and is added to: the branch's, and that of the sum."""
    return pick(wrong, branch + through, {
        "residual-path-missing": branch, "branch-path-missing": through})


def gain_gradient(
    x: Array, weight: Array, bias: Array, d: Array, *, eps: float = 1e-5, wrong: Wrong = RIGHT
) -> Array:
    """The gradient of a LayerNorm's weight (C,): d times what it multiplied, summed."""
    normed = layernorm(x, np.ones_like(weight), np.zeros_like(bias), eps=eps)
    positions = tuple(range(d.ndim - 1))
    part = d * pick(wrong, normed, {
        "xhat-forgotten": np.ones_like(x), "x-for-xhat": x,
        "output-for-xhat": normed * weight + bias})
    return np.asarray(part.mean(positions) if "mean-for-sum" in wrong else part.sum(positions))


def activation_kinds() -> list[str]:
    """The kinds of GELU that are no mistake of the exact form."""
    return [kind for kind in sentences()["gelu"] if kind not in (
        "gelu-one-forgotten", "gelu-minus-tanh", "gelu-cubic", "gelu-constant", "gelu-root",
        "gelu-brackets", "gelu-x-forgotten")]
