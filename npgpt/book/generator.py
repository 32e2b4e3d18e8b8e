"""TorchGenerator: the random numbers of PyTorch's CPU generator, in NumPy.

    rng = TorchGenerator(123)                  # as torch.manual_seed(123)
    rng.randn(2, 5)                            # as torch.randn(2, 5)
    weight, bias = rng.linear(5, 6)            # as torch.nn.Linear(5, 6), weight as (in, out)

Every method draws what its PyTorch namesake draws, in the same order, so that calls can be mixed.

Stream     MT19937; one draw is a word of 32 bits. A wide draw is two words, the high one first.
Uniform    float32: the low 24 bits of a word * 2^-24; float64: the low 53 of a wide draw * 2^-53
Normal     16 or more: box_muller.py; if 16 does not divide n, the last 16 are drawn once more.
           fewer: one pair at a time in float64, r = sqrt(-2 ln(1 - u2)), angle 2 pi u1; the sine
           half is saved for the next number of this kind
Dropout    keeps an element where a float64 uniform number is below 1 - rate, whatever the dtype
Choice     argmax of p / e with e = -ln(1 - u), u a float64 uniform number per entry

Equal to PyTorch 2.13 to the last bit, on x86-64 with AVX2 or AVX-512 and the GNU C library. On
other processors PyTorch's own `randn` differs from this in its last bits.
"""

from __future__ import annotations

import math
from typing import Sequence

import numpy as np

from ..ids import check_dtype, check_integer
from ..layers.contract import Array
from .box_muller import BLOCK, normals_from_uniforms
from .fused import fused_multiply_add

DType = type | str | np.dtype
MASK53 = np.uint64((1 << 53) - 1)


class TorchGenerator:
    """PyTorch's CPU generator for one seed, an integer of which the low 32 bits count.

    It can be handed to a layer as `rng=`: `random` draws what PyTorch's dropout draws. Its
    methods raise ValueError for a negative size, and another dtype
    than float32 and float64.
    """

    def __init__(self, seed: int) -> None:
        self.seed = check_integer("seed", seed, -2**63, 2**64 - 1)
        self._words = np.random.RandomState(self.seed & 0xFFFFFFFF)
        self._saved_normal: float | None = None

    def rand(self, *shape: int, dtype: DType = np.float32) -> Array:
        """Uniform numbers in [0, 1), as torch.rand(*shape)."""
        shape = _checked_shape(shape)
        return self._uniform(math.prod(shape), check_dtype(dtype)).reshape(shape)

    def random(self, size: int | tuple[int, ...] | None = None) -> Array:
        """Float64 uniform numbers in [0, 1), the ones that PyTorch's dropout compares with."""
        shape = _checked_shape(() if size is None else size if isinstance(size, tuple) else (size,))
        return self._uniform(math.prod(shape), np.dtype(np.float64)).reshape(shape)

    def randn(self, *shape: int, dtype: DType = np.float32) -> Array:
        """Normal numbers of mean 0 and variance 1, as torch.randn(*shape) and nn.Embedding."""
        dtype, shape = check_dtype(dtype), _checked_shape(shape)
        n = math.prod(shape)
        if n < 16:
            few = [self._one_normal() for _ in range(n)]
            return np.array(few, dtype).reshape(shape)
        uniforms = self._uniform(n, dtype)
        whole = n - n % 16
        out = np.empty(n, dtype)
        out[:whole] = normals_from_uniforms(uniforms[:whole])
        if n % 16:
            out[-16:] = normals_from_uniforms(self._uniform(16, dtype))
        return out.reshape(shape)

    def linear(
        self, n_in: int, n_out: int, bias: bool = True, dtype: DType = np.float32
    ) -> tuple[Array, Array | None]:
        """Initial weight (n_in, n_out) and bias (n_out,) or None of torch.nn.Linear(n_in, n_out).

        Both are uniform within 1 / sqrt(n_in). The weight is PyTorch's (n_out, n_in) seen
        transposed, as npgpt's layers take it. Raises ValueError for n_in below 1 too.
        """
        check_integer("n_in", n_in, 1)
        dtype = check_dtype(dtype)
        # PyTorch computes this bound as sqrt(3) * (sqrt(2 / (1 + 5)) / sqrt(n_in)); another way
        # would change the last bits of the weights
        gain = math.sqrt(2.0 / (1 + math.sqrt(5) ** 2))
        weight_bound = math.sqrt(3.0) * (gain / math.sqrt(n_in))
        weight = self._between(weight_bound, n_out * n_in, dtype).reshape(n_out, n_in)
        drawn_bias = self._between(1 / math.sqrt(n_in), n_out, dtype) if bias else None
        return weight.T, drawn_bias

    def multinomial(self, probabilities: Array) -> Array:
        """One index (..., 1) drawn by probabilities (..., N), as torch.multinomial.

        The probabilities, float32 or float64, need not sum to 1. Raises ValueError for negative or
        infinite probabilities, and for a row of zeros.
        """
        p = np.asarray(probabilities)
        if p.dtype not in (np.float32, np.float64) or p.ndim not in (1, 2) or not p.size:
            raise ValueError("expected float32 or float64 probabilities (N,) or (B, N); got "
                             f"{p.dtype} {p.shape}")
        if not (np.isfinite(p).all() and (p >= 0).all() and (p.sum(axis=-1) > 0).all()):
            raise ValueError("probabilities must be finite, not negative, not all zero in a row")
        waits = -np.log1p(-self.random(p.shape))
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            score = p / waits.astype(p.dtype)
        return np.asarray(score.argmax(axis=-1, keepdims=True))

    def randperm(self, n: int) -> Array:
        """The numbers 0 .. n-1 in random order, as torch.randperm(n)."""
        out = np.arange(check_integer("n", n, 0))
        # place i swaps with one of the n - i places from i on
        steps = self._draw(max(n - 1, 0)) % np.arange(n, 1, -1, dtype=np.uint64)
        for i, step in enumerate(steps.tolist()):
            out[i], out[i + step] = out[i + step], out[i]
        return out

    def draw_seed(self) -> int:
        """An integer in [0, 2^63): what a DataLoader and its sampler draw for themselves."""
        return int(self._draw_wide(1)[0]) & (2**63 - 1)

    def _draw(self, n: int) -> Array:
        return self._words.randint(0, 1 << 32, size=n, dtype=np.uint32)

    def _draw_wide(self, n: int) -> Array:
        words = self._draw(2 * n).astype(np.uint64)
        return words[0::2] << np.uint64(32) | words[1::2]

    def _uniform(self, n: int, dtype: np.dtype) -> Array:
        if dtype == np.float64:
            return (self._draw_wide(n) & MASK53) * 2.0**-53
        words = self._draw(n)
        words &= np.uint32(0xFFFFFF)
        out = words.astype(np.float32)
        out *= np.float32(2.0**-24)
        return out

    def _between(self, bound: float, n: int, dtype: np.dtype) -> Array:
        low, high = dtype.type(-bound), dtype.type(bound)
        out = self._uniform(n, dtype)
        for start in range(0, n, BLOCK):
            block = out[start:start + BLOCK]
            block[...] = fused_multiply_add(block, high - low, low)
        return out

    def _one_normal(self) -> float:
        if self._saved_normal is not None:
            saved, self._saved_normal = self._saved_normal, None
            return saved
        u1, u2 = self._uniform(2, np.dtype(np.float64)).tolist()
        radius, angle = math.sqrt(-2.0 * math.log1p(-u2)), 2.0 * math.pi * u1
        self._saved_normal = radius * math.sin(angle)
        return radius * math.cos(angle)


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(check_integer("size", size, 0) for size in shape)
