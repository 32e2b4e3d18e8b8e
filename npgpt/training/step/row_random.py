"""Random numbers for dropout, one generator per sequence of the batch.

A sequence's numbers depend on (seed, step, micro_step, row) alone: not on how the batch was split
over threads, nor on what was drawn before a run was interrupted.
"""

from __future__ import annotations

from typing import Sequence

import numpy as np

from ...layers.contract import Array
from ...machine.threads import THRESHOLDS, each


class RowRandom:
    """A source of uniform numbers for arrays whose first axis is the batch.

        rng = RowRandom(seed=0, step=12, micro_step=0, rows=4)
        rng.random((4, 64, 128))        # float32 in [0, 1)

    It is used up like any generator: the next call draws the next numbers.
    """

    def __init__(
        self, seed: int, step: int, micro_step: int, rows: int, first: int = 0
    ) -> None:
        """Of `rows` sequences of a batch, beginning with number `first`."""
        self._generators: Sequence[np.random.Generator] = [
            np.random.default_rng([seed, step, micro_step, row])
            for row in range(first, first + rows)
        ]

    def __len__(self) -> int:
        return len(self._generators)

    def random(self, size: int | Sequence[int] | None = None) -> Array:
        """Draw float32 numbers of shape `size`, whose first axis is the batch."""
        shape = tuple(np.atleast_1d(size)) if size is not None else ()
        if not shape or shape[0] != len(self):
            raise ValueError(
                f"expected a shape that begins with the batch's {len(self)} sequences, got {shape}"
            )
        out = np.empty(shape, np.float32)

        def draw(row: int) -> None:
            self._generators[row].random(dtype=np.float32, out=out[row])

        each(draw, len(self), out.size >= THRESHOLDS.elements // 8)
        return out

    def rows(self, start: int, stop: int) -> RowRandom:
        """The source of sequences start .. stop: the same generators, for a part of the batch."""
        part = object.__new__(RowRandom)
        part._generators = self._generators[start:stop]
        return part

    def state(self) -> list[dict[str, object]]:
        """Where every sequence's generator stands, in plain values."""
        return [dict(generator.bit_generator.state) for generator in self._generators]

    @classmethod
    def from_state(cls, state: Sequence[dict[str, object]]) -> RowRandom:
        """The source that stood there."""
        whole = cls(0, 0, 0, len(state))
        for generator, one in zip(whole._generators, state):
            generator.bit_generator.state = one
        return whole
