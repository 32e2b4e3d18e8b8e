"""Int8 weights: a quarter of the bytes that decoding reads for each token.

    small = quantize(params, config)            # for a reader, in place of params
    near = dequantize(small)                    # plain parameters again, rounded

A row is what makes one output number: a column of a linear weight (in, out), a row of the token
table (V, C). Each is stored as integers from -127 to 127 and one scale:

    weight ~ values * scale                     scale = max |row| / 127

so the rounding error is at most half a scale. Biases, norms and positions stay as they are: they
are 1 % of the parameters. `npgpt.opening.open_int8` reads and rounds one matrix after the other:
GPT-2 XL's shape is loaded and writes in 1.8 GB at most, in float32 in 6.2. NumPy widens the weights
before it multiplies: quicker than float32 only where memory is slow, see the benchmarks. What it
does to the loss is to be measured, on the user's model and text: `npgpt eval --int8`.
"""

from __future__ import annotations

from typing import Mapping, NamedTuple

import numpy as np

from ..config import GPT2Config
from ..machine.threads import THRESHOLDS, each, parts
from ..ops import TEXTBOOK
from ..params import Params, parameter_shapes
from ..tape import Array
from ..variants import plain

LARGEST = 127
_TABLES = ("wte.weight", "lm_head.weight")
# rows quantized at once: their temporaries stay in cache
_ROWS = 128


class Int8(NamedTuple):
    """A matrix (N, M) of 8-bit integers, with one scale per output."""

    values: Array
    """int8 (N, M)."""
    scale: Array
    """(1, M) for a linear weight, (N, 1) for a table; float32 or float64."""

    @property
    def shape(self) -> tuple[int, int]:
        """(N, M)."""
        n, m = self.values.shape
        return n, m

    @property
    def dtype(self) -> np.dtype:
        """That of the weights it stands for."""
        return self.scale.dtype

    @property
    def size(self) -> int:
        """How many weights it holds."""
        return self.values.size

    def widened(self) -> Array:
        """values * scale, (N, M) in the type of the scale."""
        out = np.empty(self.shape, self.scale.dtype)
        scale = np.broadcast_to(self.scale, self.shape)

        def work(start: int, stop: int) -> None:
            np.multiply(self.values[start:stop], scale[start:stop], out=out[start:stop])

        parts(work, len(out), self.size >= THRESHOLDS.elements)
        return out

    def take(self, rows: Array) -> Array:
        """Some rows of a table, widened: rows (...) give (..., M)."""
        taken: Array = self.values[rows] * self.scale[rows]
        return taken


Weight = Array | Int8
Weights = Mapping[str, Weight]


def quantize(params: Mapping[str, Array], config: GPT2Config) -> dict[str, Weight]:
    """The same names: matrices as Int8, except the positions; everything else as it was.

    A config's variants are multiplied out first (`variants.plain`).
    Raises ValueError, naming the parameter, where a number is not finite.
    """
    matrices = [
        name for name, shape in parameter_shapes(config).items()
        if len(shape) == 2 and name != "wpe.weight"
    ]
    return {
        name: quantized(array, name, by_rows=name in _TABLES) if name in matrices else array
        for name, array in plain(params, config, TEXTBOOK).items()
    }


def dequantize(weights: Weights) -> Params:
    """Plain parameters, with the rounding that quantize left in them."""
    return {name: weight.widened() if isinstance(weight, Int8) else weight
            for name, weight in weights.items()}


def quantized(weight: Array, name: str = "weight", *, by_rows: bool) -> Int8:
    """One matrix (N, M) as Int8, with a scale for each row, or else for each column."""
    out = np.empty(weight.shape, np.int8)
    peaks = np.zeros((len(weight), 1) if by_rows else (1, weight.shape[1]), weight.dtype)
    starts = range(0, len(weight), _ROWS)

    for start in starts:
        block = np.abs(weight[start:start + _ROWS])
        if by_rows:
            block.max(axis=1, keepdims=True, out=peaks[start:start + _ROWS])
        else:
            np.maximum(peaks, block.max(axis=0, keepdims=True), out=peaks)
    if not np.isfinite(peaks).all():
        raise ValueError(f"{name} holds numbers that are not finite: it cannot be rounded to int8")
    # a row of zeros, or of weights too small for a scale, is 0 at any scale
    scale = peaks / LARGEST
    scale[scale < np.finfo(scale.dtype).tiny] = 1.0

    def work(i: int) -> None:
        run = slice(starts[i], starts[i] + _ROWS)
        block = weight[run] / (scale[run] if by_rows else scale)
        np.rint(block, out=block)
        np.copyto(out[run], block, casting="unsafe")

    each(work, len(starts), weight.size >= THRESHOLDS.elements)
    return Int8(out, scale)
