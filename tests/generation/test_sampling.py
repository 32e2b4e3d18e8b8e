"""The filters keep what they say they keep; draws follow the distribution and the seed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npgpt.generation.sampling import (
    Sampling,
    draw,
    generators,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    log_probability,
    penalise_repetition,
    with_temperature,
)

# few distinct values, so that ties are common
coarse = st.integers(-6, 6).map(lambda n: n / 2)
logit_rows = hnp.arrays(np.float64, st.integers(1, 40), elements=coarse | st.floats(-50, 50))


def softmax(logits):
    exps = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


@pytest.mark.smoke
@given(logit_rows, st.integers(1, 50))
def test_top_k_keeps_exactly_k_and_none_smaller_than_one_it_removes(logits, k):
    kept = np.isfinite(keep_top_k(logits, k))
    assert kept.sum() == min(k, len(logits))
    if not kept.all():
        assert logits[kept].min() >= logits[~kept].max()


@pytest.mark.smoke
@given(logit_rows, st.floats(0.01, 0.999))
def test_top_p_keeps_the_fewest_most_probable_tokens_that_hold_p(logits, p):
    kept = np.isfinite(keep_top_p(logits, p))
    probs = softmax(logits)
    assert kept.any()
    if not kept.all():
        assert logits[kept].min() >= logits[~kept].max()
    assert probs[kept].sum() >= p - 1e-12
    # without the least of them, p is not reached
    assert probs[kept].sum() - probs[kept].min() < p + 1e-12


@given(logit_rows, st.floats(0.001, 1.0))
def test_min_p_keeps_tokens_by_their_ratio_to_the_best(logits, min_p):
    kept = np.isfinite(keep_min_p(logits, min_p))
    ratio = np.exp(logits - logits.max())
    assert kept[ratio > min_p * (1 + 1e-9)].all()
    assert not kept[ratio < min_p * (1 - 1e-9)].any()
    assert kept[logits.argmax()]


@given(logit_rows, st.integers(1, 40), st.floats(0.01, 1.0), st.floats(0.0, 1.0))
def test_filters_leave_kept_logits_and_their_input_as_they_were(logits, k, p, min_p):
    before = logits.copy()
    for filtered in (keep_top_k(logits, k), keep_top_p(logits, p), keep_min_p(logits, min_p)):
        kept = np.isfinite(filtered)
        np.testing.assert_array_equal(filtered[kept], logits[kept])
        assert filtered.dtype == logits.dtype and not np.shares_memory(filtered, logits)
    penalise_repetition(logits, [0], 2.0)
    with_temperature(logits, 0.5)
    np.testing.assert_array_equal(logits, before)


@given(hnp.arrays(np.float64, 12, elements=coarse), st.integers(-8, 8))
def test_a_constant_added_to_all_logits_changes_no_distribution(logits, constant):
    settings = Sampling(temperature=0.5, top_k=7, top_p=0.8, min_p=0.1)
    np.testing.assert_allclose(
        settings.distribution(logits + constant), settings.distribution(logits), atol=1e-14
    )


@given(st.permutations(range(12)))
def test_renaming_the_tokens_renames_the_distribution(order):
    logits = np.linspace(-2, 3, 12)
    settings = Sampling(temperature=0.7, top_k=9, top_p=0.9, min_p=0.05)
    np.testing.assert_allclose(
        settings.distribution(logits[list(order)]), settings.distribution(logits)[list(order)],
        atol=1e-14,
    )


def test_among_equals_the_lower_ids_are_kept():
    logits = np.tile([0.0, 1.0], 100)
    mass = 0.295 * softmax(logits)[1::2].sum()
    for kept in (keep_top_k(logits, 30), keep_top_p(logits, mass)):
        assert np.flatnonzero(np.isfinite(kept)).tolist() == list(range(1, 61, 2))


def test_float32_rows_keep_their_type():
    row = np.array([1, 2, 3], np.float32)
    for out in (keep_top_k(row, 2), keep_top_p(row, 0.5), keep_min_p(row, 0.5),
                with_temperature(row, 0.5), penalise_repetition(row, [1], 2.0)):
        assert out.dtype == np.float32


def test_the_filters_on_a_worked_example():
    # probabilities 0.5 0.25 0.15 0.10
    logits = np.log(np.array([0.10, 0.5, 0.15, 0.25]))
    assert np.isfinite(keep_top_k(logits, 2)).tolist() == [False, True, False, True]
    assert np.isfinite(keep_top_p(logits, 0.74)).tolist() == [False, True, False, True]
    assert np.isfinite(keep_top_p(logits, 0.76)).tolist() == [False, True, True, True]
    exactly = np.log(np.array([0.25, 0.5, 0.25]))
    assert np.isfinite(keep_top_p(exactly, 0.5)).tolist() == [False, True, False]
    assert np.isfinite(keep_min_p(logits, 0.29)).tolist() == [False, True, True, True]
    np.testing.assert_allclose(
        Sampling(temperature=0.5).distribution(logits),
        np.array([0.01, 0.25, 0.0225, 0.0625]) / 0.345,
    )


def test_the_penalty_counts_a_token_once_and_makes_either_sign_less_likely():
    out = penalise_repetition(np.array([4.0, -4.0, 1.0]), [0, 1, 0, 0], 2.0)
    np.testing.assert_array_equal(out, [2.0, -8.0, 1.0])


def test_the_penalty_without_seen_tokens_changes_nothing():
    np.testing.assert_array_equal(penalise_repetition(np.array([4.0, -4.0]), [], 2.0), [4.0, -4.0])


def test_temperature_zero_takes_the_best_token_and_the_lowest_id_among_equals():
    rng = np.random.default_rng(0)
    settings = Sampling(temperature=0.0, top_k=5, top_p=0.5)
    state = rng.bit_generator.state
    assert settings.choose(np.array([1.0, 3.0, 2.0, 3.0]), rng) == 1
    assert rng.bit_generator.state == state
    np.testing.assert_array_equal(
        settings.distribution(np.array([1.0, 3.0, 2.0, 3.0])), [0.0, 1.0, 0.0, 0.0]
    )


def test_greedy_choice_heeds_the_penalty():
    settings = Sampling(temperature=0.0, repetition_penalty=2.0)
    assert settings.choose(np.array([3.0, 2.0, 0.0]), np.random.default_rng(0), [0]) == 1


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e300])
def test_extreme_temperatures_give_a_distribution(temperature):
    probs = Sampling(temperature=temperature).distribution(np.array([1e4, -1e4, 9e3]))
    assert math.isclose(probs.sum(), 1.0)
    expected = [1.0, 0.0, 0.0] if temperature < 1 else [1 / 3] * 3
    np.testing.assert_allclose(probs, expected)


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1)),
       st.floats(0, 1, exclude_max=True))
def test_a_draw_never_takes_a_token_of_probability_zero(probs, u):
    if probs.sum() > 0:
        assert probs[draw(probs, u)] > 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_last_draw_takes_the_last_token_that_has_a_probability(dtype):
    for total in (0.3, 1.0, 7.0):
        probs = np.array([0.5 * total, 0.5 * total, 0.0], dtype)
        assert draw(probs, math.nextafter(1.0, 0.0)) == 1


def test_draws_cover_the_unit_interval_in_proportion():
    probs = np.array([0.0, 0.25, 0.0, 0.5, 0.25, 0.0])
    drawn = [draw(probs, (i + 0.5) / 1000) for i in range(1000)]
    assert np.bincount(drawn, minlength=6).tolist() == [0, 250, 0, 500, 250, 0]


@given(hnp.arrays(np.float64, 12, elements=coarse), st.integers(0, 999))
def test_a_choice_is_one_draw_from_the_distribution(logits, seed):
    sampling = Sampling(temperature=0.7, top_k=6, top_p=0.9, repetition_penalty=1.5)
    rng, again = (np.random.default_rng(seed) for _ in range(2))
    token = sampling.choose(logits, rng, [1, 2, 3])
    assert token == draw(sampling.distribution(logits, [1, 2, 3]), again.random())
    assert rng.bit_generator.state == again.bit_generator.state


def test_log_probability_is_that_of_the_plain_softmax():
    logits = np.array([1000.0, 1001.0, 999.0])
    np.testing.assert_allclose(
        [log_probability(logits, i) for i in range(3)], np.log(softmax(logits)), atol=1e-14
    )


def test_a_sample_depends_on_the_seed_and_its_own_place_only():
    few, many = generators(5, 2), generators(5, 9)
    assert [g.random() for g in few] == [g.random() for g in many[:2]]
    assert len({g.random() for g in many + generators(6, 9)}) == 18


def test_without_a_seed_two_runs_differ():
    assert generators(None, 1)[0].random() != generators(None, 1)[0].random()


@pytest.mark.parametrize("settings, says", [
    ({"temperature": -0.1}, "temperature=-0.1 must be finite, at least 0"),
    ({"temperature": math.nan}, "temperature=nan must be finite"),
    ({"temperature": "hot"}, "temperature='hot' must be a number"),
    ({"temperature": True}, "temperature=True must be a number"),
    ({"top_k": -1}, "top_k=-1 must be an integer of at least 0; 0 keeps every token"),
    ({"top_k": 2.5}, "top_k=2.5 must be an integer"),
    ({"top_k": True}, "top_k=True must be an integer"),
    ({"top_p": 0.0}, "top_p=0.0 is outside (0, 1]"),
    ({"top_p": 1.5}, "top_p=1.5 is outside (0, 1]"),
    ({"min_p": -0.5}, "min_p=-0.5 is outside [0, 1]"),
    ({"repetition_penalty": 0.0}, "repetition_penalty=0.0 must be finite and above 0"),
])
def test_invalid_settings_are_rejected_by_name(settings, says):
    with pytest.raises(ValueError) as error:
        Sampling(**settings)
    assert says in str(error.value)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "one"])
def test_a_seed_must_be_an_integer_of_at_least_zero(seed):
    with pytest.raises(ValueError, match="seed"):
        generators(seed, 1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_of_a_diverged_model_are_rejected(bad):
    with pytest.raises(ValueError, match="damaged or diverged"):
        Sampling().choose(np.array([0.0, bad, 1.0]), np.random.default_rng(0))
