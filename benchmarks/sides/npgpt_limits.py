"""What bounds npgpt on a machine: NumPy's matmuls, reading weights, widening int8.

Rates of all threads together: matmuls in GFLOP/s, reading in GB/s, and for a tile of weights in
cache, widening and multiplying it by a vector, in billions of weights per second. And GELU, on one
thread and on all, in billions of elements per second: what the GIL leaves of the second thread.
"""

from __future__ import annotations

import time
from typing import Any, Callable

import numpy as np

from npgpt.fast.gelu import gelu_forward
from npgpt.fast.linear import matmuls
from npgpt.generation.streamed import TILE
from npgpt.machine import threads

from ..sizes import LIMIT_SHAPES, REPEATS, WEIGHTS_READ, matmul_flops

# how often each thread does something to its tile
_TILES = 256
C = 768


def prepare() -> Callable[[], Any]:
    """A callable that measures each limit once: {name: rate}."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    shapes = {name: (drawn(n, k), drawn(k, m), drawn(n, m))
              for name, (n, k, m) in LIMIT_SHAPES.items()}
    matrix, vector = drawn(*WEIGHTS_READ), drawn(WEIGHTS_READ[1])
    stored = rng.integers(-127, 128, (threads.get_threads(), TILE), dtype=np.int8)
    wide = drawn(*stored.shape)
    tall = wide.reshape(len(wide), -1, C)
    channels = drawn(C)
    hidden = drawn(1024, 4 * C)

    def once() -> dict[str, float]:
        rates = {}
        for name, (x, weight, dout) in shapes.items():
            out, dx, dweight = np.empty_like(dout), np.empty_like(x), np.empty_like(weight)
            with threads.one_blas_thread():
                started = time.perf_counter()
                for _ in range(REPEATS):
                    # forward, then backward for both
                    matmuls([(x, weight, out)])
                    matmuls([(dout, weight.T, dx), (x.T, dout, dweight)])
                rates[name] = matmul_flops(name) / (time.perf_counter() - started) / 1e9

        def widen(i: int) -> None:
            for _ in range(_TILES):
                np.copyto(wide[i], stored[i])

        def multiply(i: int) -> None:
            for _ in range(_TILES):
                tall[i] @ channels

        for name, work in (("widening", widen), ("multiplying", multiply)):
            started = time.perf_counter()
            threads.each(work, len(stored))
            rates[name] = _TILES * stored.size / (time.perf_counter() - started) / 1e9
        with threads.one_blas_thread():
            for name, n in (("gelu 1", 1), ("gelu all", threads.get_threads())):
                with threads.using(n):
                    started = time.perf_counter()
                    for _ in range(REPEATS):
                        gelu_forward(hidden)
                    rates[name] = REPEATS * hidden.size / (time.perf_counter() - started) / 1e9
        # last, because BLAS's own threads spin for a while when they are done
        started = time.perf_counter()
        with threads.blas_threads():
            matrix @ vector
        rates["reading"] = matrix.nbytes / (time.perf_counter() - started) / 1e9
        return rates

    return once
