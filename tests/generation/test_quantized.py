"""Int8 weights: rounded once, by row, and read as if they were the rounded model itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from npgpt.generation import streamed
from npgpt.generation.fast_reader import FastReader
from npgpt.generation.quantized import Int8, dequantize, quantize, quantized
from npgpt.generation.reader import CachedReader
from npgpt.params import parameter_shapes

from .lively import LONG, VARIANTS, lively
from .plain import generate

IDS = np.random.default_rng(0).integers(0, 29, (3, 12))


@settings(max_examples=100, deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(0, 9), st.integers(1, 9)),
              elements=st.floats(-100, 100, width=32)), st.booleans())
def test_no_number_is_off_by_more_than_half_a_scale(weight, by_rows):
    small = quantized(weight, by_rows=by_rows)
    assert small.values.dtype == np.int8 and small.shape == weight.shape
    assert small.size == weight.size
    assert small.scale.shape == ((len(weight), 1) if by_rows else (1, weight.shape[1]))
    assert not weight.size or abs(small.values.astype(int)).max() <= 127
    error = np.abs(small.widened() - weight.astype(np.float64))
    assert (error <= 0.5001 * small.scale + 1e-37).all()


def test_each_row_has_a_scale_of_its_own():
    weight = np.array([[1.0, 100.0], [-0.25, 40.0]])
    by_columns = quantized(weight, by_rows=False)
    np.testing.assert_array_equal(by_columns.values, [[127, 127], [-32, 51]])
    np.testing.assert_allclose(by_columns.scale, [[1 / 127, 100 / 127]])
    np.testing.assert_allclose(quantized(weight, by_rows=True).scale, [[100 / 127], [40 / 127]])


@pytest.mark.parametrize("by_rows", [False, True])
def test_a_tall_matrix_on_threads_is_rounded_by_the_formula(
    by_rows, two_threads, every_size_on_threads, rng
):
    weight = rng.standard_normal((300, 5))
    scale = np.abs(weight).max(axis=1 if by_rows else 0, keepdims=True) / 127
    small = quantized(weight, by_rows=by_rows)
    np.testing.assert_array_equal(small.scale, scale)
    np.testing.assert_array_equal(small.values, np.rint(weight / scale))
    np.testing.assert_array_equal(small.widened(), small.values * scale)


def test_zeros_stay_zeros():
    small = quantized(np.array([[0.0, 1e-320], [2.0, 0.0]]), by_rows=False)
    np.testing.assert_allclose(small.widened(), [[0, 0], [2, 0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_rejected_by_name(bad):
    params = lively()
    params["h.1.mlp.c_fc.weight"][3, 4] = bad
    with pytest.raises(ValueError, match="h.1.mlp.c_fc.weight holds numbers that are not finite"):
        quantize(params, VARIANTS["gpt2"])


def test_matrices_become_int8_and_the_rest_stays():
    config = VARIANTS["untied"]
    params = lively(config)
    small = quantize(params, config)
    assert list(small) == list(params)
    for name, shape in parameter_shapes(config).items():
        if len(shape) == 1 or name == "wpe.weight":
            assert small[name] is params[name]
        else:
            assert isinstance(small[name], Int8) and small[name].shape == shape
    for name in ("wte.weight", "lm_head.weight"):
        assert small[name].scale.shape == (29, 1)
    assert list(dequantize(small)) == list(params)
    assert {array.dtype for array in dequantize(small).values()} == {np.dtype(np.float64)}


# as in test_fast_reader.py
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-4)],
                         ids=["float64", "float32"])
@pytest.mark.parametrize("few", [1, 32], ids=["at once", "streamed"])
@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_reading_int8_equals_reading_the_rounded_model(config, few, dtype, tolerance, monkeypatch):
    monkeypatch.setattr(streamed, "FEW", few)
    small = quantize(lively(config, dtype=dtype), config)
    plain = dequantize(small)
    fast, textbook = FastReader(small, config, 3), CachedReader(plain, config, 3)
    widening = CachedReader(small, config, 3)
    for start, stop in ((0, 6), (6, 7), (7, 10), (10, 12)):
        chunk = IDS[:, start:stop]
        got = fast.read([0, 1, 2], chunk)
        expected = textbook.read([0, 1, 2], chunk)
        np.testing.assert_array_equal(widening.read([0, 1, 2], chunk), expected)
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_rounding_does_something_and_not_much():
    params = lively(LONG)
    small = quantize(params, LONG)
    exact = CachedReader(params, LONG).read([0], IDS[:1])
    rounded = FastReader(small, LONG).read([0], IDS[:1])
    gap = np.abs(rounded - exact).max() / np.abs(exact).max()
    assert 1e-4 < gap < 0.1


def test_texts_written_with_int8_are_those_of_the_rounded_model():
    small = quantize(lively(LONG), LONG)
    expected = generate(dequantize(small), LONG, IDS, 20, temperature=0.0)
    for speculate in (False, True):
        got = generate(small, LONG, IDS, 20, temperature=0.0, reader=FastReader,
                       speculate=speculate)
        np.testing.assert_array_equal(got, expected)


def test_int8_is_the_same_bits_in_every_run(two_threads):
    small = quantize(lively(LONG, dtype=np.float32), LONG)
    texts = [FastReader(small, LONG, 3).read([0, 1, 2], IDS) for _ in range(4)]
    for other in texts[1:]:
        np.testing.assert_array_equal(other, texts[0])
