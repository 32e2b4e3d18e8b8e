"""A block that keeps its input alone and computes the rest again in backward.

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
from typing import Any, Mapping

from ... import model
from ...config import GPT2Config
from ...layers.contract import Array, Cache, UniformSource
from ...ops import Ops
from ...tape import Op
from .play import StepTape, play


def recomputed_block(
    params: Mapping[str, Any],
    layer: int,
    x: Any,
    config: GPT2Config,
    *,
    ops: Ops,
    rng: UniformSource | None = None,
    attend: model.Attend,
) -> Any:
    """model.block as one entry on the tape; attention is over the given positions alone."""
    names = model.of_block(params, layer)

    def block(x: Any, arrays: tuple[Any, ...], source: UniformSource | None) -> Any:
        attend = model.full_attention(config, ops=ops, rng=source)
        return model.block(
            dict(zip(names, arrays)), layer, x, config, ops=ops, rng=source, attend=attend
        )

    def forward(x: Array, *arrays: Array) -> tuple[Array, Cache]:
        # the generators as they were before, to draw the same dropout again
        source = copy.deepcopy(rng)
        return block(x, arrays, rng), (x, arrays, source)

    def backward(dout: Array, cache: Cache) -> tuple[Array, ...]:
        x, arrays, source = cache
        tape = StepTape()
        inputs = [tape.watch(array) for array in (x, *arrays)]
        out = block(inputs[0], tuple(inputs[1:]), copy.deepcopy(source))
        return tuple(play(tape, out, dout, inputs))

    return Op("block", forward, backward)(x, *(params[name] for name in names))
