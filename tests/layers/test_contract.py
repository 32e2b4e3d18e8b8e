"""The layer contract, held by every op on every case of npgpt.cases."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import pytest

from npgpt.ops import TEXTBOOK as ops
from npgpt.selfcheck.cases import Case, cases

from ..selfcheck.test_cases import WITHOUT_BATCH
from ..wrong_shapes import WRONG_SHAPES

pytestmark = pytest.mark.smoke

CASES = cases()
every_case = pytest.mark.parametrize("case", CASES, ids=[case.label for case in CASES])
numbered = pytest.mark.parametrize("number", range(len(CASES)), ids=[c.label for c in CASES])


def forward(case: Case, inputs: tuple[Any, ...] | None = None) -> tuple[Any, Any]:
    given = case.inputs if inputs is None else inputs
    return ops.named()[case.op_name].forward(*given, **case.settings)


def backward(case: Case, dout: Any, cache: Any) -> tuple[Any, ...]:
    return ops.named()[case.op_name].backward(dout, cache)


def random_dout(out: Any) -> Any:
    return np.random.default_rng(5).standard_normal(out.shape).astype(out.dtype)


def with_floats(case: Case, change: Callable[[Any], Any]) -> tuple[Any, ...]:
    """The inputs, with every array of floats changed."""
    return tuple(
        change(a) if a is not None and a.dtype.kind == "f" else a for a in case.inputs
    )


def same(given: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    assert len(given) == len(expected)
    for a, b in zip(given, expected):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


def read_only(array: Any) -> Any:
    if array is None:
        return None
    copy = array.copy()
    copy.flags.writeable = False
    return copy


@every_case
def test_a_layer_writes_only_into_its_own_arrays(case):
    inputs = tuple(read_only(a) for a in case.inputs)      # writing into one raises
    out, cache = forward(case, inputs)
    backward(case, read_only(random_dout(out)), cache)
    for given, before in zip(inputs, case.inputs, strict=True):
        assert (given is None) == (before is None)
        np.testing.assert_array_equal(given, before)


@every_case
def test_backward_called_twice_gives_the_same(case):
    out, cache = forward(case)
    before, dout = out.copy(), random_dout(out)
    first = [None if g is None else g.copy() for g in backward(case, dout, cache)]
    for gradient, again in zip(first, backward(case, dout, cache)):
        assert (gradient is None) == (again is None)
        np.testing.assert_array_equal(gradient, again)
    np.testing.assert_array_equal(out, before)


@every_case
def test_there_is_one_gradient_per_float_array_and_none_for_the_rest(case):
    out, cache = forward(case)
    grads = backward(case, random_dout(out), cache)
    assert isinstance(grads, tuple) and len(grads) == len(case.inputs)
    for x, gradient in zip(case.inputs, grads):
        if x is None or x.dtype.kind != "f":
            assert gradient is None
        else:
            assert isinstance(gradient, np.ndarray) and gradient.shape == x.shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@numbered
def test_results_have_the_dtype_of_the_inputs(number, dtype):
    case = cases(dtype=dtype)[number]
    out, cache = forward(case)
    assert isinstance(out, np.ndarray) and out.dtype == dtype
    for gradient in backward(case, random_dout(out), cache):
        assert gradient is None or gradient.dtype == dtype


@numbered
def test_single_precision_agrees_with_double(number):
    double, single = CASES[number], cases(dtype=np.float32)[number]
    exact, exact_cache = forward(double)
    out, cache = forward(single)
    np.testing.assert_allclose(out, exact, rtol=1e-4, atol=1e-5)
    dout = random_dout(exact)
    expected = backward(double, dout, exact_cache)
    for given, wanted in zip(backward(single, dout.astype(np.float32), cache), expected):
        if wanted is not None:
            np.testing.assert_allclose(given, wanted, rtol=1e-3, atol=1e-4)


@every_case
def test_complex_numbers_pass_and_real_ones_among_them_mean_the_same(case):
    out, _ = forward(case)
    complex_out, _ = forward(case, with_floats(case, lambda a: a.astype(np.complex128)))
    assert complex_out.dtype == np.complex128
    np.testing.assert_allclose(complex_out.real, out, rtol=1e-13, atol=1e-15)
    assert (complex_out.imag == 0).all()


@pytest.mark.parametrize("op, inputs, settings, says", WRONG_SHAPES)
def test_wrong_shapes_raise_one_line_with_what_was_expected(op, inputs, settings, says):
    with pytest.raises(ValueError) as error:
        ops.named()[op](*inputs, **settings)
    assert says in str(error.value) and "\n" not in str(error.value)


def strided(array: Any) -> Any:
    """The same numbers, in an array in which no two neighbours lie side by side."""
    wide = np.full(tuple(2 * n for n in array.shape), np.nan, array.dtype)
    view = wide[(*(slice(None, None, 2) for _ in array.shape), ...)]
    view[...] = array
    return view


@pytest.mark.parametrize("laid_out", [strided, np.asfortranarray], ids=["strided", "by columns"])
@every_case
def test_the_layout_in_memory_does_not_matter(case, laid_out):
    out, cache = forward(case)
    other, other_cache = forward(case, with_floats(case, laid_out))
    same((other,), (out,))
    dout = random_dout(out)
    same(backward(case, laid_out(dout), other_cache), backward(case, dout, cache))


@pytest.mark.parametrize("batch", [0, 1])
@numbered
def test_a_batch_of_one_or_of_none_is_a_batch(number, batch):
    case = cases(batch=batch)[number]
    out, cache = forward(case)
    if out.ndim and case.op_name not in WITHOUT_BATCH:
        assert out.shape[0] == batch
    for x, gradient in zip(case.inputs, backward(case, random_dout(out), cache)):
        if gradient is not None:
            assert gradient.shape == x.shape and np.isfinite(gradient).all()
            assert batch or case.op_name in WITHOUT_BATCH or (gradient == 0).all()
