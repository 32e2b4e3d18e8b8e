"""Values side by side: distance, the first difference, factors, and mistakes of any value."""

import math

import numpy as np
import pytest

from npgpt.doctor.evidence.kinds import KINDS
from npgpt.doctor.values.compare import (
    GENERAL,
    explains,
    factor,
    factor_sources,
    factor_word,
    first_difference,
    gap,
    general,
    leaves,
    size,
    tolerance,
)
from npgpt.doctor.values.program import value_kinds

rng = np.random.default_rng(0)


@pytest.mark.smoke
def test_a_value_is_taken_apart_into_arrays_by_their_path():
    value = [{"w": np.ones((2, 3)), "b": [1, 2.5]}, (np.zeros(2), 3)]
    found = leaves(value)
    assert [*found] == ["[0]['w']", "[0]['b']", "[1][0]", "[1][1]"]
    assert found["[0]['b']"].tolist() == [1, 2.5] and found["[1][1]"].shape == ()


@pytest.mark.parametrize("value, expected", [
    ([b"ab", b"c"], [b"ab", b"c"]), (["ab", "c"], [b"ab", b"c"]), ((b"a",), [b"a"]),
    ([(b"a", b"b")], [(b"a", b"b")]), ([["a", "b"], ["c", "d"]], [(b"a", b"b"), (b"c", b"d")]),
])
def test_tokens_and_pairs_of_them_are_one_list(value, expected):
    (array,) = leaves(value).values()
    assert array.tolist() == expected


@pytest.mark.parametrize("value", ["text", None, {"a": object()}])
def test_what_holds_no_numbers_is_an_error(value):
    with pytest.raises(ValueError, match="expected arrays"):
        leaves(value)


def test_the_gap_counts_nan_and_infinity_in_one_place_as_equal():
    a = {"": np.array([1.0, np.nan, np.inf])}
    assert gap(a, {"": np.array([1.0, np.nan, np.inf])}) == 0
    assert gap(a, {"": np.array([4.0, np.nan, np.inf])}) == 3
    assert gap(a, {"": np.array([1.0, 2.0, np.inf])}) == math.inf
    assert gap(a, {"": np.ones(2)}) == gap(a, {"other": a[""]}) == math.inf
    assert size(a) == 1
    assert gap(leaves([b"a", b"b"]), leaves([b"a", b"c"])) == 1


def test_the_tolerance_is_that_of_the_coarsest_precision():
    assert tolerance({"": np.ones(1)}) < tolerance({"": np.ones(1, np.float32)})
    assert tolerance({"a": np.ones(1), "b": np.ones(1, np.float16)}) == 2e-2


def test_a_prediction_explains_what_it_meets_and_not_what_it_comes_near():
    right, got = {"": np.zeros(3)}, {"": np.array([1.0, 2.0, 2.0])}
    assert explains({"": np.array([1.0, 2.0, 2.0])}, right, got)
    assert not explains({"": np.array([1.0, 2.0, 1.9])}, right, got)
    assert not explains({"": np.zeros(3)}, right, got)


def test_mistakes_of_any_value_need_their_axes():
    sentences = [m.sentence for m, _ in general({"": rng.standard_normal(3)})]
    assert "the last two axes are transposed" not in sentences
    for mistake, made in general({"": rng.standard_normal((2, 3, 4, 5))}):
        assert made[""].size == 120, mistake
    assert [*general({"": np.array([1e9])})]     # more than half precision holds, without a warning
    assert [*general({"": np.arange(3)})] == [*general(leaves([b"a"]))] == []


@pytest.mark.parametrize("c, says", [
    (7.0, "too large by a factor of length (7)"), (1 / 7, "too small by a factor of length (7)"),
    (math.sqrt(7), "the root of length (2.64575)"), (2.0, "too large by a factor of 2"),
    (0.37, "it is 0.37 times the correct one"),
])
def test_a_factor_is_named_by_the_size_that_it_is(c, says):
    right = {"a": rng.standard_normal(3), "b": rng.standard_normal((2, 2))}
    got = {key: c * a for key, a in right.items()}
    assert factor(right, got) == pytest.approx(c)
    assert says in factor_word(*next(factor_sources(c, {"length": 7.0})))


def test_a_factor_has_every_source_that_it_may_have():
    assert [*factor_sources(0.5, {"length": 2.0, "width": 4.0})] == [
        ("length", 0.5), ("2", 0.5), ("the root of width", 0.5), ("", 0.5)]


@pytest.mark.parametrize("got", [np.ones(3), np.zeros(3), np.array([1.0, 2.0])])
def test_what_is_no_multiple_has_no_factor(got):
    assert factor({"": np.array([1.0, 2.0, 3.0])}, {"": got}) is None
    assert factor({"": np.array([1.0, 2.0, 3.0])}, {"": np.array([1.0, 2.0, 3.0])}) is None


@pytest.mark.parametrize("right, got, expected", [
    (np.zeros((2, 2)), np.array([[0, 0], [0, 1.5]]), ("[1, 1]", "0", "1.5")),
    (np.float64(1), np.float64(2), ("", "1", "2")),
    ([b"a", b"b"], [b"a", b"c"], ("[1]", "b'b'", "b'c'")),
    (np.zeros(2), np.zeros(3), ("", "shape (2,)", "shape (3,)")),
    ({"w": np.zeros(2)}, {"v": np.zeros(2)}, ("['w']", "a value", "nothing")),
    ({"w": np.zeros(2)}, {"w": np.array([0, np.nan])}, ("['w'][1]", "0", "nan")),
    (np.ones(2), np.ones(2) + 1e-12, None),
])
def test_the_first_element_that_differs_is_shown(right, got, expected):
    assert first_difference(leaves(right), leaves(got)) == expected


def test_every_kind_that_a_value_may_have_is_in_a_table():
    kinds = {*KINDS, *value_kinds()}
    assert {mistake.kind for mistake in GENERAL} <= kinds
    assert {"factor", "forward-raises", "in-place", "not-an-array", "not-finite", "unexplained",
            "wrong-count", "wrong-shape"} <= kinds
