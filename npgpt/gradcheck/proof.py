"""The whole gradient check in forty lines: read this first, then write your own.

The derivative of every input element is taken by a complex step, Im f(x + ih) / h, which loses no
digits however small h is, and weighted with a random `dout`: a sum, which is a `dout` of ones,
cannot see a wrong softmax or LayerNorm. What `backward` gives must agree to 13 digits.

Read pair.py, numeric.py, compare.py and check.py next: the same for functions that carry no complex
numbers, for large tensors, kinks, rounding and masks. They share no code with this file.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

STEP = 1e-30
TOLERANCE = 1e-13


def prove_gradients(
    forward: Callable[..., Any], backward: Callable[..., Any], *inputs: Any, **settings: Any
) -> None:
    """Assert that backward gives the gradient of every input, for a random signed dout.

    Inputs are float64 arrays, or arrays of integers or None, which have no gradient. Raises
    AssertionError for a wrong one.
    """
    out, cache = forward(*inputs, **settings)
    dout = np.random.default_rng(7).standard_normal(np.shape(out))
    given = backward(dout, cache)
    assert isinstance(given, tuple) and len(given) == len(inputs)
    for i, (x, gradient) in enumerate(zip(inputs, given)):
        if x is None or x.dtype.kind != "f":
            assert gradient is None, f"input {i} has no gradient; backward gave one"
            continue
        assert x.dtype == np.float64 and gradient.shape == x.shape, f"input {i}: shape or dtype"
        numeric = complex_step_gradient(
            lambda moved: forward(*inputs[:i], moved, *inputs[i + 1:], **settings)[0], x, dout)
        # a gradient that is 0 in exact arithmetic is measured against dout
        size = max(np.linalg.norm(numeric), 1e-3 * np.linalg.norm(dout)) or 1.0
        error = np.linalg.norm(gradient - numeric) / size
        lost = "" if numeric.any() else "; or does forward, as np.abs, lose the imaginary part?"
        assert error <= TOLERANCE, f"input {i}: relative error {error:.1e}{lost}"


def complex_step_gradient(f: Callable[[Any], Any], x: Any, dout: Any) -> Any:
    """d sum(dout * f(x)) / dx, element by element."""
    gradient = np.empty(x.shape)
    for index in np.ndindex(*x.shape):
        moved = x.astype(np.complex128)
        moved[index] += 1j * STEP
        gradient[index] = (dout * np.imag(f(moved))).sum() / STEP
    return gradient
