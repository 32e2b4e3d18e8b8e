"""npgpt's ops one by one: the fast ones, or the textbook's."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any, Callable

import numpy as np

from npgpt import ops as textbook
from npgpt.fast import ops as fast
from npgpt.fast.heap import keep_freed_memory
from npgpt.fast.threads import one_blas_thread

from ..sizes import OP_SHAPES


def prepare(which: str) -> Callable[[], Any]:
    """A callable that times every op's forward and backward: {op: [seconds, seconds]}."""
    keep_freed_memory()
    ops = {"fast": fast, "textbook": textbook}[which]
    # a training step holds BLAS to one thread and cuts the work itself; the textbook leaves it be
    held = one_blas_thread if which == "fast" else nullcontext
    examples = _examples()

    def once() -> dict[str, list[float]]:
        result = {}
        for name, (op, inputs, settings) in examples.items():
            with held():
                started = time.perf_counter()
                out, cache = ops.ALL[op].forward(*inputs, **settings)
                middle = time.perf_counter()
                ops.ALL[op].backward(out, cache)
                result[name] = [middle - started, time.perf_counter() - middle]
        return result

    return once


def _examples() -> dict[str, tuple[str, list[Any], dict[str, Any]]]:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return rng.standard_normal(shape, dtype=np.float32)

    t, c, f, v, h = (OP_SHAPES[name] for name in ("T", "C", "F", "V", "H"))
    x, wide = normal(1, t, c), normal(1, t, f)
    fc, proj = normal(c, f) * 0.02, normal(f, c) * 0.02
    return {
        "gelu": ("gelu", [wide], {}),
        "gelu_exact": ("gelu_exact", [wide], {}),
        "silu": ("silu", [wide], {}),
        "layernorm": ("layernorm", [x, normal(c), normal(c)], {}),
        "linear": ("linear", [x, normal(c, 3 * c) * 0.02, normal(3 * c)], {}),
        "feed_forward": ("feed_forward", [x, fc, normal(f), proj, normal(c)], {}),
        "attention": ("multi_head_attention", [normal(1, t, 3 * c)], {"n_head": h}),
        "attention_short": ("multi_head_attention", [normal(16, t // 16, 3 * c)], {"n_head": h}),
        "head_and_loss": (
            "linear_cross_entropy", [x, normal(v, c) * 0.02, rng.integers(0, v, (1, t))], {}
        ),
        "embedding": ("token_embedding", [rng.integers(0, v, (1, t)), normal(v, c)], {}),
    }
