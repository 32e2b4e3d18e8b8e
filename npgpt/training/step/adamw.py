"""AdamW: each parameter's step is its mean gradient over the root of its mean square.

    g = grad * grad_scale                                       for clipping
    m = b1 * m + (1 - b1) * g           v = b2 * v + (1 - b2) * g * g
    mhat = m / (1 - b1^t)               vhat = v / (1 - b2^t)   t counts from 1
    p = p * (1 - lr * decay)                                    for matrices and tables only
    p = p - lr * mhat / (sqrt(vhat) + eps)

`adamw_reference` is that, word for word. Training uses `adamw_step`, which is tested against it: it
computes p -= size * m / (sqrt(v) + floor) with the two corrections moved into size and floor. A
block of each of p, g, m and v is read once, taken through all steps in cache, and written once:
seven elements of memory traffic a parameter, whatever the number of steps.

Source     Loshchilov, Hutter 2017, arXiv 1711.05101; decay groups as in GPT-2's training
"""

from __future__ import annotations

import math
from typing import Collection, Mapping, Sequence

import numpy as np

from ...checked import checked
from ...fast.blocks import runs
from ...ids import check_integer, check_number
from ...machine.threads import THRESHOLDS, parts
from ...tape import Array

# four arrays and one of scratch; 124M parameters on two threads took 324 ms with 2**15 elements in
# a block, 237 with 2**16, 194 with 2**17, 198 with 2**18, 245 with 2**19: short calls make the
# threads wait for the GIL, long ones leave the cache
_BLOCK = 2**17
# sums of squares outside this range are taken in float64
_TINY, _HUGE = 1e-30, 1e30


@checked
def adamw_reference(
    params: Mapping[str, Array], grads: Mapping[str, Array], m: Mapping[str, Array],
    v: Mapping[str, Array], *, step: int, lr: float, betas: Sequence[float], eps: float,
    decay_names: Collection[str], weight_decay: float, grad_scale: float = 1.0,
) -> None:
    """One update of params, m and v in place, as the formula says; step counts from 1.

    grads, m and v have params' names and shapes, which may be any. Raises ValueError for others,
    a step below 1 and numbers that are not finite.
    """
    if len(betas) != 2:
        raise ValueError(f"betas must be two numbers; got {len(betas)}")
    check_integer("step", step, 1, 2**53)
    for what, number in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay),
                         ("grad_scale", grad_scale), *(("betas", beta) for beta in betas)):
        check_number(what, number, finite=True)
    decayed = [name for name in decay_names if isinstance(name, str)]
    for name, p in params.items():
        for what, arrays in (("grads", grads), ("m", m), ("v", v)):
            if name not in arrays or np.shape(arrays[name]) != p.shape:
                raise ValueError(f"{what} must have {name} {p.shape}, as params have")
    beta1, beta2 = betas
    for name, p in params.items():
        g = grads[name] * grad_scale
        m[name][...] = beta1 * m[name] + (1 - beta1) * g
        v[name][...] = beta2 * v[name] + (1 - beta2) * g * g
        mhat = m[name] / (1 - beta1**step)
        vhat = v[name] / (1 - beta2**step)
        decay = weight_decay if name in decayed else 0.0
        p[...] = p * (1 - lr * decay) - lr * mhat / (np.sqrt(vhat) + eps)


def decaying(params: Mapping[str, Array], slopes: bool = False) -> set[str]:
    """The names that weight decay applies to: matrices and tables, not biases, norms and gains.

    `slopes` adds those of leaky ReLUs.
    """
    return {name for name, array in params.items()
            if array.ndim >= 2 or (slopes and name.endswith(".slope"))}


def zero_moments(params: Mapping[str, Array]) -> dict[str, Array]:
    """Zeros of every parameter's shape and dtype."""
    return {name: np.zeros(array.shape, array.dtype) for name, array in params.items()}


def clipping(norm: float, grad_clip: float) -> float:
    """The `grad_scale` that brings gradients of this norm to `grad_clip` at most; 0: no limit."""
    return min(1.0, grad_clip / (norm + 1e-6)) if grad_clip else 1.0


def adamw_step(
    params: Mapping[str, Array], grads: Mapping[str, Array], m: Mapping[str, Array],
    v: Mapping[str, Array], *, step: int, lr: float, betas: Sequence[float], eps: float,
    decay_names: Collection[str], weight_decay: float, grad_scale: float = 1.0,
) -> None:
    """Update params, m and v in place with update number `step`, counted from 1.

    All four hold an array of one shape per name; gradients are multiplied by `grad_scale` first
    (for clipping). `weight_decay` applies to `decay_names` only. Raises ValueError for a step below
    1 or an array that is not C-contiguous.
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

    parts(work, len(blocks), sum(p.size for p in params.values()) >= THRESHOLDS.update)


def global_norm(grads: Mapping[str, Array]) -> float:
    """The square root of the sum of all squares; inf or nan if any element is.

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

    parts(work, len(blocks), sum(g.size for g in grads.values()) >= THRESHOLDS.norm)
    return math.sqrt(math.fsum(squares)) if np.isfinite(squares).all() else float(squares.sum())


def _blocks(arrays: Mapping[str, Array]) -> list[tuple[str, slice]]:
    return [(name, run) for name, a in arrays.items() for run in runs(0, a.size, 1, _BLOCK)]


def _flat(array: Array, name: str) -> Array:
    if not array.flags.c_contiguous:
        raise ValueError(f"{name}: AdamW works in place on C-contiguous arrays; this one is not")
    return array.reshape(-1)
