from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.book import TorchGenerator
from npgpt.ops import TEXTBOOK

from .golden import assert_same, golden


def weights(n: int, m: int, dtype: str) -> np.ndarray:
    i = np.arange(n)
    return np.tile(((i * i + 3 * i + 2) % 7).astype(dtype), (m, 1))


CALLS = {
    "rand": lambda rng, n, m, dtype: [rng.rand(n, m, dtype=dtype)],
    "randn": lambda rng, n, m, dtype: [rng.randn(n, m, dtype=dtype)],
    "few_normals": lambda rng, m, dtype: [rng.randn(m, dtype=dtype)],
    "linear": lambda rng, n, m, bias, dtype: _linear(rng, n, m, bias, dtype),
    "embedding": lambda rng, n, m, dtype: [rng.randn(n, m, dtype=dtype)],
    "dropout": lambda rng, n, m, rate, dtype: [
        TEXTBOOK.dropout(np.ones((n, m), dtype), rate=rate, rng=rng)],
    "choice": lambda rng, n, m, k, again, dtype: [rng.multinomial(weights(n, m, dtype))],
    "randperm": lambda rng, n: [rng.randperm(n)],
    "draw_seed": lambda rng: [np.array(rng.draw_seed())],
}
# calls of PyTorch's that the book does not make: their numbers are drawn and passed over
PASSED_OVER = {
    "choices": lambda rng, n, m, k, again, dtype: rng.random(n * m),
    "choices_again": lambda rng, n, m, k, again, dtype: rng.random(m * k),
    "randint": lambda rng, low, high, n: rng.random(n) if high - low >= 2**28 else rng.rand(n),
}


def _linear(rng, n, m, bias, dtype):
    weight, drawn_bias = rng.linear(n, m, bias, dtype)
    return [weight.T] if drawn_bias is None else [weight.T, drawn_bias]


@pytest.mark.parametrize("sequence", golden()["sequences"], ids=lambda s: f"seed {s['seed']}")
def test_a_mixed_sequence_of_calls_is_pytorchs(sequence):
    rng = TorchGenerator(sequence["seed"])
    for i, call in enumerate(sequence["calls"]):
        if call["kind"] in PASSED_OVER:
            PASSED_OVER[call["kind"]](rng, *call["arguments"])
            continue
        what = f"call {i}, {call['kind']} {call['arguments']}"
        outs = CALLS[call["kind"]](rng, *call["arguments"])
        assert len(outs) == len(call["outs"]), what
        for out, expected in zip(outs, call["outs"]):
            assert_same(out, expected, what)


def test_the_golden_sequences_hold_every_kind_of_call_and_sizes_beyond_a_thousand():
    calls = [call for sequence in golden()["sequences"] for call in sequence["calls"]]
    assert {call["kind"] for call in calls} == {*CALLS, *PASSED_OVER}
    sizes = [out["shape"][0] for call in calls for out in call["outs"]
             if call["kind"] == "randn" and out["shape"]]
    assert any(size > 1000 for size in sizes)
    assert any(size % 16 for size in sizes)


def test_random_takes_the_sizes_that_a_numpy_generator_takes():
    assert TorchGenerator(0).random().shape == ()
    assert TorchGenerator(0).random(3).shape == (3,)
    assert TorchGenerator(0).random((2, 3)).shape == (2, 3)
    assert TorchGenerator(0).random(()).shape == ()


@given(st.integers(0, 200), st.integers(0, 2**32 - 1))
def test_a_permutation_holds_every_number_once(n, seed):
    assert sorted(TorchGenerator(seed).randperm(n).tolist()) == list(range(n))


def test_an_entry_of_weight_zero_is_never_drawn():
    p = np.array([0, 1, 0, 2, 0], np.float64)
    rng = TorchGenerator(1)
    drawn = [int(rng.multinomial(p)[0]) for _ in range(200)]
    assert set(drawn) == {1, 3}


def test_any_integer_is_a_seed_and_its_low_32_bits_count():
    np.testing.assert_array_equal(TorchGenerator(2**32 + 7).rand(3), TorchGenerator(7).rand(3))
    np.testing.assert_array_equal(TorchGenerator(np.int64(7)).rand(3), TorchGenerator(7).rand(3))
    with pytest.raises(ValueError, match="seed=1.5 must be an integer"):
        TorchGenerator(1.5)


@pytest.mark.parametrize("p, message", [
    ([0.0, 0.0], "all zero"),
    ([0.5, -0.5], "not negative"),
    ([0.5, np.nan], "finite"),
    ([[[1.0]]], r"\(1, 1, 1\)"),
    ([1, 2], "int64"),
])
def test_probabilities_that_cannot_be_drawn_from_are_rejected(p, message):
    with pytest.raises(ValueError, match=message):
        TorchGenerator(0).multinomial(np.array(p))


def test_other_wrong_settings_are_rejected():
    rng = TorchGenerator(0)
    with pytest.raises(ValueError, match="float16"):
        rng.rand(2, dtype="float16")
    with pytest.raises(ValueError, match=r"size=\(2, 5\) must be an integer"):
        rng.rand((2, 5))
    with pytest.raises(ValueError, match=r"size=-5 must be an integer of at least 0"):
        rng.randn(2, -5)
