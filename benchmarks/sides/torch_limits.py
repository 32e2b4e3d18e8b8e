"""The same limits in PyTorch: its matmuls, and reading weights."""

from __future__ import annotations

import os
import time
from typing import Any, Callable

import torch

from ..sizes import LIMIT_SHAPES, REPEATS, WEIGHTS_READ, matmul_flops


def prepare() -> Callable[[], Any]:
    """A callable that measures each limit once: {name: rate}."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    shapes = {name: (torch.randn(n, k), torch.randn(k, m), torch.randn(n, m))
              for name, (n, k, m) in LIMIT_SHAPES.items()}
    matrix, vector = torch.randn(*WEIGHTS_READ), torch.randn(WEIGHTS_READ[1])

    @torch.inference_mode()
    def once() -> dict[str, float]:
        rates = {}
        for name, (x, weight, dout) in shapes.items():
            out, dx, dweight = (torch.empty_like(a) for a in (dout, x, weight))
            started = time.perf_counter()
            for _ in range(REPEATS):
                torch.mm(x, weight, out=out)
                torch.mm(dout, weight.T, out=dx)
                torch.mm(x.T, dout, out=dweight)
            rates[name] = matmul_flops(name) / (time.perf_counter() - started) / 1e9
        started = time.perf_counter()
        torch.mv(matrix, vector)
        rates["reading"] = matrix.nbytes / (time.perf_counter() - started) / 1e9
        return rates

    return once
