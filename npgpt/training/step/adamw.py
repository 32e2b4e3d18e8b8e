"""AdamW and the global norm, in blocks that stay in cache.

Update     m  = b1 m + (1 - b1) g            g is the gradient times grad_scale
           v  = b2 v + (1 - b2) g^2
           p  = p (1 - lr wd)                only for names that decay
           p -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
computed as p -= size * m / (sqrt(v) + floor) with the two corrections moved into size and floor.

A block of each of p, g, m and v is read once, taken through all steps in cache, and written once:
seven numbers of memory traffic a parameter, whatever the number of steps.

Source     Loshchilov, Hutter 2017, arXiv 1711.05101
"""

from __future__ import annotations

import math
from typing import Collection, Mapping, Sequence

import numpy as np

from ...fast.blocks import runs
from ...layers.contract import Array
from ...machine.threads import NORM, UPDATE, parts

# four arrays and one of scratch; 124M parameters on two threads took 324 ms with 2**15 numbers in
# a block, 237 with 2**16, 194 with 2**17, 198 with 2**18, 245 with 2**19: short calls make the
# threads wait for each other's turn in Python, long ones leave the cache
_BLOCK = 2**17
# sums of squares outside this range are taken in float64
_TINY, _HUGE = 1e-30, 1e30


def adamw_step(
    params: Mapping[str, Array],
    grads: Mapping[str, Array],
    m: Mapping[str, Array],
    v: Mapping[str, Array],
    *,
    step: int,
    lr: float,
    betas: Sequence[float],
    eps: float,
    decay_names: Collection[str],
    weight_decay: float,
    grad_scale: float = 1.0,
) -> None:
    """Update params, m and v in place with update number `step`, counted from 1.

    All four hold an array of one shape per name; gradients are multiplied by `grad_scale` first
    (for clipping). `weight_decay` applies to `decay_names` only. Raises ValueError for a step below
    1 or an array whose numbers do not lie in one piece.
    """
    if step < 1:
        raise ValueError(f"step={step}: AdamW counts its updates from 1")
    b1, b2 = betas
    correction = math.sqrt(1.0 - b2**step)
    size = lr * correction / (1.0 - b1**step)
    floor = eps * correction
    blocks = _blocks(params)
    flat = {
        name: [_flat(d[name], name) for d in (params, grads, m, v)] for name in params
    }
    decays = {name: 1.0 - lr * weight_decay for name in decay_names if weight_decay}
    first_gain = (1.0 - b1) * grad_scale
    second_gain = math.sqrt(1.0 - b2) * grad_scale

    def work(start: int, stop: int) -> None:
        scratches: dict[np.dtype, Array] = {}
        for name, run in blocks[start:stop]:
            p, g, m1, m2 = (array[run] for array in flat[name])
            if p.dtype not in scratches:
                scratches[p.dtype] = np.empty(_BLOCK, p.dtype)
            t = scratches[p.dtype][:len(p)]
            np.multiply(g, second_gain, out=t)
            np.multiply(t, t, out=t)
            m2 *= b2
            m2 += t
            np.multiply(g, first_gain, out=t)
            m1 *= b1
            m1 += t
            np.sqrt(m2, out=t)
            t += floor
            np.divide(m1, t, out=t)
            t *= size
            if name in decays:
                p *= decays[name]
            p -= t

    parts(work, len(blocks), sum(p.size for p in params.values()) >= UPDATE)


def global_norm(grads: Mapping[str, Array]) -> float:
    """The square root of the sum of all squares; inf or nan if any number is.

    Blocks are summed by BLAS, and the blocks' sums in float64: the same bits for any number of
    threads.
    """
    blocks = _blocks(grads)
    squares = np.zeros(len(blocks))

    flat = {name: np.ravel(g) for name, g in grads.items()}

    def work(start: int, stop: int) -> None:
        for i in range(start, stop):
            name, run = blocks[i]
            g = flat[name][run]
            with np.errstate(over="ignore", invalid="ignore"):
                square = float(np.dot(g, g))
            if not _TINY < square < _HUGE:
                # squares may have left the range of float32
                wide = g.astype(np.float64)
                square = float(np.dot(wide, wide))
            squares[i] = square

    parts(work, len(blocks), sum(g.size for g in grads.values()) >= NORM)
    return math.sqrt(math.fsum(squares)) if np.isfinite(squares).all() else float(squares.sum())


def _blocks(arrays: Mapping[str, Array]) -> list[tuple[str, slice]]:
    return [(name, run) for name, a in arrays.items() for run in runs(0, a.size, 1, _BLOCK)]


def _flat(array: Array, name: str) -> Array:
    if not array.flags.c_contiguous:
        raise ValueError(f"{name}: AdamW works in place on C-contiguous arrays; this one is a view")
    return array.reshape(-1)
