"""npgpt's ops one by one: the fast ones, or the textbook's."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any, Callable

import numpy as np

from npgpt.fast.ops import FAST as fast
from npgpt.machine.threads import one_blas_thread
from npgpt.ops import TEXTBOOK as textbook

from ..sizes import OP_SHAPES, PENALTY, RATE

Example = tuple[str, list[Any], dict[str, Any]]


def prepare(which: str) -> Callable[[], Any]:
    """A callable that times every op's forward and backward: {op: [seconds, seconds]}."""
    ops = {"fast": fast, "textbook": textbook}[which].named()
    # a training step holds BLAS to one thread and cuts the work itself; the textbook leaves it be
    held = one_blas_thread if which == "fast" else nullcontext
    chosen = examples()

    def once() -> dict[str, list[float]]:
        result = {}
        for name, (op_name, inputs, settings) in chosen.items():
            # looked up beforehand: that takes longer than the backward of a residual
            op = ops[op_name]
            with held():
                started = time.perf_counter()
                out, cache = op.forward(*inputs, **settings)
                forward = time.perf_counter() - started
                dout = np.ones_like(out)
                started = time.perf_counter()
                grads = op.backward(dout, cache)
                result[name] = [forward, time.perf_counter() - started]
            # not while the next op is timed: letting go of 200 MB takes longer than many an op
            del out, cache, dout, grads
        return result

    return once


def examples() -> dict[str, Example]:
    """Every op but identity, which computes nothing: name, inputs and settings of one call."""
    return {**_elementwise(), **_linear_maps(), **_attention(), **_vocabulary()}


def _normal(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _elementwise() -> dict[str, Example]:
    t, c, f = (OP_SHAPES[name] for name in ("T", "C", "F"))
    x, hidden = _normal(1, t, c), _normal(1, t, f)
    slope = np.array([0.01], np.float32)
    activations = {name: (name, [hidden], {}) for name in ("gelu", "gelu_exact", "silu", "relu")}
    return {
        **activations,
        "leaky_relu": ("leaky_relu", [hidden, slope], {}),
        "softmax": ("softmax", [hidden], {}),
        "dropout": ("dropout", [x], {"rate": RATE, "rng": np.random.default_rng(0)}),
        "residual": ("residual", [x, _normal(1, t, c)], {}),
        "layernorm": ("layernorm", [x, _normal(c), _normal(c)], {}),
    }


def _linear_maps() -> dict[str, Example]:
    t, c, f = (OP_SHAPES[name] for name in ("T", "C", "F"))
    x, fc, proj = _normal(1, t, c), _normal(c, f) * 0.02, _normal(f, c) * 0.02
    return {
        "linear": ("linear", [x, _normal(c, 3 * c) * 0.02, _normal(3 * c)], {}),
        "weight_norm": ("weight_norm", [fc, _normal(f)], {}),
        "low_rank_update": (
            "low_rank_update", [fc, _normal(c, 8), _normal(8, f)], {"scale": 2.0}),
        "low_rank": ("low_rank", [x, _normal(c, 8), _normal(8, f)], {"scale": 2.0}),
        "pad_zeros": ("pad_zeros", [_normal(2 * c)], {"size": 3 * c}),
        "feed_forward": ("feed_forward", [x, fc, _normal(f), proj, _normal(c)], {}),
        "swiglu": ("swiglu", [x, fc, _normal(f), fc.copy(), _normal(f), proj, _normal(c)], {}),
    }


def _attention() -> dict[str, Example]:
    t, c, h = (OP_SHAPES[name] for name in ("T", "C", "H"))
    qkv, heads = _normal(1, t, 3 * c), {"n_head": h}
    return {
        "attention": ("multi_head_attention", [qkv], heads),
        "attention_short": ("multi_head_attention", [_normal(16, t // 16, 3 * c)], heads),
        "causal_attention": ("causal_attention", [_normal(1, h, t, c // h) for _ in "qkv"], {}),
        "attention_entropy": ("attention_entropy", [qkv], heads),
        "entropy_penalty": ("entropy_penalty", [_normal(h), _normal(h)], PENALTY),
    }


def _vocabulary() -> dict[str, Example]:
    t, c, v = (OP_SHAPES[name] for name in ("T", "C", "V"))
    rng = np.random.default_rng(0)
    x, table, ids = _normal(1, t, c), _normal(v, c) * 0.02, rng.integers(0, v, (1, t))
    return {
        "token_embedding": ("token_embedding", [ids, table], {}),
        "position_embedding": ("position_embedding", [x, _normal(t, c), np.arange(t)], {}),
        "unembedding": ("unembedding", [x, table], {}),
        "cross_entropy": ("cross_entropy", [_normal(1, t, v), ids], {}),
        "head_and_loss": ("linear_cross_entropy", [x, table, ids], {}),
    }
