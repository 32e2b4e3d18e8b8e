"""The programs that the doctor knows by name, with inputs to try them on.

The first input is plain; the second shows what a plain one hides: rows of tiny variance, scores
that overflow, a gradient below the limit. Sizes are all different, and others each time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Array
from . import attention, layers, programs, text, training
from .program import Inputs, Program, Settings, Variant, variants

Rng = np.random.Generator
Drawn = tuple[Inputs, Settings]


def _sizes(rng: Rng, *near: int) -> list[int]:
    """Sizes near these, all different."""
    return [int(n + rng.integers(0, 2)) for n in near]


def _layernorm(rng: Rng, given: Settings, n: int) -> Drawn:
    b, t, c = _sizes(rng, 2, 4, 7)
    x = rng.standard_normal((b, t, c)) + 0.5
    x[0, 0] *= 1e-3 if n else 1
    return (x, 1 + 0.3 * rng.standard_normal(c), rng.standard_normal(c)), {}


def _softmax(rng: Rng, given: Settings, n: int) -> Drawn:
    x = 2 * rng.standard_normal((4, 4) if n == 1 else _sizes(rng, 3, 5))
    if n == 2:
        x += 900 * np.eye(*x.shape)
    if n == 3:
        x[0] -= 900
    return (x,), {}


def _scores(rng: Rng, given: Settings, n: int) -> Drawn:
    return (2.0 * rng.standard_normal(_sizes(rng, 3, 8)),), {}


def _linear(rng: Rng, given: Settings, n: int) -> Drawn:
    b, t, i, o = _sizes(rng, 2, 4, 6, 8)
    o = i if n == 1 else o
    return (rng.standard_normal((b, t, i)), rng.standard_normal((i, o)), rng.standard_normal(o)), {}


def _heads(rng: Rng, given: Settings, n: int) -> Drawn:
    t, d = _sizes(rng, 4, 6)
    more = int(n == 2)     # keys of a cache
    q, k, v = (rng.standard_normal((t + extra, d)) for extra in (0, more, more))
    return (q, k, v), {}


def _multi_head(rng: Rng, given: Settings, n: int) -> Drawn:
    b, t, d = _sizes(rng, 2, 5, 3)
    h = given.get("n_head", 2 if n % 2 else 4)
    return (rng.standard_normal((b, t, 3 * h * (d + 2))),), {"n_head": h}


def _weights_of(rng: Rng, c: int, f: int) -> dict[str, Array]:
    shapes: dict[str, Any] = {
        "ln_1.weight": c, "ln_1.bias": c, "attn.c_attn.weight": (c, 3 * c),
        "attn.c_attn.bias": 3 * c, "attn.c_proj.weight": (c, c), "attn.c_proj.bias": c,
        "ln_2.weight": c, "ln_2.bias": c, "mlp.c_fc.weight": (c, f), "mlp.c_fc.bias": f,
        "mlp.c_proj.weight": (f, c), "mlp.c_proj.bias": c}
    return {name: rng.standard_normal(shape) * (0.5 if isinstance(shape, tuple) else 0.3)
            + (name.startswith("ln") and name.endswith("weight"))
            for name, shape in shapes.items()}


def _block(rng: Rng, given: Settings, n: int) -> Drawn:
    b, t = _sizes(rng, 2, 4)
    h = given.get("n_head", 2)
    c = h * 3
    return (rng.standard_normal((b, t, c)), _weights_of(rng, c, 4 * c)), {"n_head": h}


def _feed_forward(rng: Rng, given: Settings, n: int) -> Drawn:
    b, t, c, f = _sizes(rng, 2, 4, 6, 9)
    f = c if n == 1 else f
    return (rng.standard_normal((b, t, c)), rng.standard_normal((c, f)), rng.standard_normal(f),
            rng.standard_normal((f, c)), rng.standard_normal(c)), {}


def _cross_entropy(rng: Rng, given: Settings, n: int) -> Drawn:
    b, t, v = _sizes(rng, 2, 4, 9)
    logits = 2 * rng.standard_normal((b, t, v))
    targets = rng.integers(1, v, (b, t))
    if n == 1:
        targets[0, :2] = layers.IGNORE
    if n == 2:
        logits[0, 0, 1] += 900
    return (logits, targets), {}


def _embedding(rng: Rng, given: Settings, n: int) -> Drawn:
    b, t, v, c = _sizes(rng, 2, 4, 11, 7)
    return (rng.integers(0, v - 1, (b, t)), rng.standard_normal((v, c)),
            rng.standard_normal((v + 2, c))), {}


def _unembedding(rng: Rng, given: Settings, n: int) -> Drawn:
    b, t, v, c = _sizes(rng, 2, 4, 11, 7)
    return (rng.standard_normal((b, t, c)), rng.standard_normal((v, c)),
            1 + 0.3 * rng.standard_normal(c), rng.standard_normal(c)), {}


def _dropout(rng: Rng, given: Settings, n: int) -> Drawn:
    x = rng.standard_normal(_sizes(rng, 40, 50)) + 3
    settings = {"rate": 0.3 if n % 2 else 0.2, "rng": np.random.default_rng(int(rng.integers(99)))}
    return (x,), settings if n != 1 else settings | {"training": False}


def _adamw(rng: Rng, given: Settings, n: int) -> Drawn:
    shapes: dict[str, Any] = {"wte.weight": _sizes(rng, 3, 5), "ln_f.bias": _sizes(rng, 4),
                              "c_fc.weight": _sizes(rng, 2, 6)}
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    scale = 1e-3 if n % 2 else 1.0
    steps = [{name: scale * rng.standard_normal(shape) for name, shape in shapes.items()}
             for _ in range(5)]
    return (params, steps), {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.2}


def _gradients(rng: Rng) -> dict[str, Array]:
    return {"a": rng.standard_normal(_sizes(rng, 2, 4)), "b": rng.standard_normal(_sizes(rng, 3)),
            "c": rng.standard_normal(_sizes(rng, 5, 3))}


def _clip(rng: Rng, given: Settings, n: int) -> Drawn:
    grads = _gradients(rng)
    size = float(np.sqrt(sum((g * g).sum() for g in grads.values())))
    # far below the limit; below it, with a square above it; and above
    return (grads,), {"max_norm": {1: 50.0, 2: 1.2 * max(size, 1.5)}.get(n, 0.7)}


def _accumulate(rng: Rng, given: Settings, n: int) -> Drawn:
    first = _gradients(rng)
    many = [first, *({name: rng.standard_normal(g.shape) for name, g in first.items()}
                     for _ in range(2 + n % 2))]
    return (many, [int(k) for k in rng.permutation([3, 7, 12, 20])[:len(many)]]), {}


def _learning_rate(rng: Rng, given: Settings, n: int) -> Drawn:
    return (), {"lr": 0.5, "min_lr": 0.05, "warmup": 4 + n, "total": 17 + 2 * n}


def _sampling(rng: Rng, given: Settings, n: int) -> Drawn:
    settings: list[Settings] = [
        {"temperature": 0.7, "top_k": None, "top_p": None},
        {"temperature": 1.6, "top_k": 4, "top_p": None},
        {"temperature": 2.5, "top_k": None, "top_p": 0.5},
        {"temperature": 1.4, "top_k": 6, "top_p": 0.75},
        {"temperature": 2.0, "top_k": 5, "top_p": 0.8}]
    return (1.5 * rng.standard_normal(_sizes(rng, 11)[0]),), settings[n % 5]


def _cached(rng: Rng, given: Settings, n: int) -> Drawn:
    v, c, d, t = _sizes(rng, 9, 6, 4, 8)
    p = {"wte": rng.standard_normal((v, c)), "wpe": rng.standard_normal((3 * t, c)),
         **{name: rng.standard_normal((c, d)) for name in "qkv"}}
    return (rng.integers(0, v, t), 3, p), {}


def _bpe_encode(rng: Rng, given: Settings, n: int) -> Drawn:
    word = "".join(rng.choice([*("abé" if n % 2 else "abc")], 12)).encode()
    # neither in the order of the text nor in that of frequency
    pairs = [*dict.fromkeys(text.bpe_train(word[i:], 1)[0] for i in range(len(word) - 1))]
    merges = [pairs[i] for i in rng.permutation(len(pairs))]
    longer = [(a, b + c) for a, b in merges for d, c in merges if d == b]
    return (word, [*merges, *longer[:4]]), {}


def _bpe_train(rng: Rng, given: Settings, n: int) -> Drawn:
    texts = ["low lower lowest newer", "aaaa xyxyxy", "the cat sat on the mat", "éé è éé à",
             "abracadabra cadabra", "zz yy zz yy ab"]
    return (texts[n % 6].encode(), 4), {}


def _windows(rng: Rng, given: Settings, n: int) -> Drawn:
    length = 4 + n
    return (rng.permutation(3 * length + (1 if n % 2 else 3)),), {"length": length}


def _numeric_gradient(rng: Rng, given: Settings, n: int) -> Drawn:
    w = rng.standard_normal(_sizes(rng, 2, 3))
    # of the second degree, where central differences are exact whatever h is
    return (lambda x: float((w * x * x).sum() + (x * x[::-1]).sum()),
            rng.standard_normal(w.shape)), {}


def _attention_entropy(rng: Rng, given: Settings, n: int) -> Drawn:
    b, h, t = _sizes(rng, 2, 3, 5)
    scores = np.where(np.tri(t, dtype=bool), rng.standard_normal((b, h, t, t)), -np.inf)
    return (layers.softmax(scores),), {}


def _of_block(*kinds: str) -> list[Variant]:
    return [variant for variant in variants("block") if variant.kind in kinds]


_HEADS = ("attention_weights", "causal_attention")
_EXACT = [v for v in variants("gelu") if v.kind in layers.activation_kinds()]
_ALL = [
    Program("layernorm", layers.layernorm, variants("layernorm"), _layernorm),
    Program("softmax", layers.softmax, variants("softmax"), _softmax),
    Program("gelu", layers.gelu, [v for v in variants("gelu") if v.kind != "gelu-tanh"], _scores),
    Program("gelu_exact", lambda x, wrong={}: layers.gelu(x, form="gelu", wrong=wrong),
            [v for v in _EXACT if v.kind != "gelu-exact"], _scores),
    Program("linear", layers.linear, variants("linear"), _linear),
    Program("causal_attention", attention.causal_attention, variants(*_HEADS), _heads),
    Program("multi_head_attention", attention.multi_head_attention, variants(
        "merge_heads", *_HEADS, "split_heads", "multi_head_attention"), _multi_head),
    Program("feed_forward", layers.feed_forward, variants("feed_forward", "gelu", "linear"),
            _feed_forward),
    Program("block", attention.block, variants(
        "residual", "block", "layernorm", "gelu", *_HEADS, "merge_heads", "split_heads",
        "multi_head_attention", "linear"), _block),
    Program("cross_entropy", layers.cross_entropy, variants("cross_entropy"), _cross_entropy),
    Program("embedding", layers.embedding, variants("embedding"), _embedding),
    Program("unembedding", layers.unembedding, [
        v for v in variants("unembedding", "layernorm") if v.kind != "norm-left-out"],
            _unembedding),
    Program("dropout", layers.dropout, variants("dropout"), _dropout,
            observe=layers.kept_by_dropout),
    Program("adamw", training.adamw, variants("adamw"), _adamw, run=training.run_steps),
    Program("clip", training.clip, variants("clip"), _clip,
            run=training.run_in_place,
            conventions=[Variant("clip-eps", "", eps) for eps in (1e-6, 1e-8, 1e-12)]),
    Program("accumulate", training.accumulate, variants("accumulate"), _accumulate),
    Program("learning_rate", training.learning_rate, variants("learning_rate"), _learning_rate,
            run=training.run_schedule,
            conventions=[Variant("end-inclusive", ""), Variant("end-clamped", "")]),
    Program("sampling", programs.sampling, variants("sampling"), _sampling),
    Program("cached_attention", programs.cached_attention, variants("cached_attention"), _cached,
            run=programs.run_cached),
    Program("bpe_encode", text.bpe_encode, variants("bpe_encode"), _bpe_encode),
    Program("bpe_train", text.bpe_train, variants("bpe_train"), _bpe_train),
    Program("windows", text.windows, variants("windows"), _windows, run=text.run_windows),
    Program("numeric_gradient", programs.numeric_gradient, variants("numeric_gradient"),
            _numeric_gradient),
    # steps of the model, which packs compare; they are tried on the inputs given
    Program("token_embedding", layers.token_embedding, variants("token_embedding")),
    Program("split_heads", attention.split_heads, variants("split_heads")),
    Program("attention_weights", attention.attention_weights, variants("attention_weights")),
    Program("mixed_heads", attention.mixed_heads, variants("merge_heads", "mixed_heads")),
    Program("activation", layers.gelu, variants("gelu")),
    Program("residual", attention.residual, [
        *variants("residual"), *_of_block("second-residual-from-input")]),
    Program("tied_table_gradient", layers.tied_table_gradient, variants("tied_table_gradient")),
    Program("second_norm", attention.second_norm, [
        *_of_block("one-norm-twice"), *variants("layernorm")]),
    Program("stream_gradient", layers.stream_gradient, variants("stream_gradient")),
    Program("gain_gradient", layers.gain_gradient, variants("gain_gradient")),
    Program("weight_gradient", layers.weight_gradient, variants("weight_gradient")),
    Program("bias_gradient", layers.bias_gradient, variants("bias_gradient")),
    Program("attention_entropy", programs.attention_entropy, variants("attention_entropy"),
            _attention_entropy),
]
PROGRAMS = {program.name: program for program in _ALL}
