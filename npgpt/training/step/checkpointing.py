"""Activation checkpointing: a block saves its input alone and computes the rest again in backward.

Training then holds one array (B, T, C) a block instead of twelve or more, and runs every block's
forward twice. Dropout draws the same numbers both times. Measured, time of a step, and peak memory
of its processes:

    6 layers x 384 channels, B8 T256    32 % more time     peak 562 MB instead of 778
    124M, B1 T1024                      25 % more time     peak 2195 MB instead of 2575

The second line is a row of `python -m benchmarks`; the first was measured once, by hand.

Source     Chen et al. 2016, arXiv 1604.06174
"""

from __future__ import annotations

import copy
from typing import Callable, Mapping, Sequence, TypeVar

from ... import model
from ...config import GPT2Config
from ...layers.contract import UniformSource
from ...ops import Ops
from ...tape import Array, Cache, Op, Tape, V, Var

W = TypeVar("W", Array, Var)


def checkpointed_block(
    params: Mapping[str, V],
    layer: int,
    x: V,
    config: GPT2Config,
    *,
    ops: Ops,
    rng: UniformSource | None = None,
    attend: Callable[[int, V], V],
) -> V:
    """model.block as one entry on the tape; attention is over the given positions alone."""
    names: list[str] = [name for name in params if name.startswith(f"h.{layer}.")]
    # frozen parameters are constants here as there
    on_tape = [isinstance(value, Var) for value in (x, *(params[name] for name in names))]

    def block(x: W, arrays: Sequence[W], source: UniformSource | None) -> W:
        return model.block(dict(zip(names, arrays)), layer, x, config, ops=ops, rng=source,
                           attend=model.full_attention(config, ops=ops, rng=source))

    def forward(*inputs: Array) -> tuple[Array, Cache]:
        # the generators as they were before, to draw the same dropout again
        source = copy.deepcopy(rng)
        return block(inputs[0], inputs[1:], rng), (inputs, source)

    def backward(dout: Array, cache: Cache) -> tuple[Array | None, ...]:
        inputs, source = cache
        tape = Tape()
        watched = [tape.watch(array) if on else array for array, on in zip(inputs, on_tape)]
        out = block(watched[0], watched[1:], copy.deepcopy(source))
        grads = tape.backward(out, dout)
        return tuple(grads.get(value) if on else None for value, on in zip(watched, on_tape))

    return Op("block", forward, backward, fresh=True)(x, *(params[name] for name in names))
