"""Programs: mistakes are made one at a time or together, and their names are stable."""

import re

import numpy as np
import pytest

from npgpt.doctor.evidence.kinds import KINDS
from npgpt.doctor.values.program import (
    Program,
    Variant,
    accepted,
    pick,
    sentences,
    value_kinds,
    variants,
)


def mean(x, *, wrong=()):
    total = x.sum() * (2 if "doubled" in wrong else 1)
    return total / (wrong["divisor"] if "divisor" in wrong else x.size)


PROGRAM = Program("mean", mean, [
    Variant("doubled", "it is doubled"), Variant("divisor", "divided by {value}", 3.0),
    ("largest", lambda x: x.max(), "the largest")])


@pytest.mark.smoke
def test_mistakes_are_made_alone_and_together():
    x = np.array([1.0, 2.0, 4.0, 5.0])
    doubled, divisor, largest = PROGRAM.mistakes()
    assert PROGRAM.value((x,), {}) == 3
    assert PROGRAM.value((x,), {}, [doubled]) == 6
    assert PROGRAM.value((x,), {}, [doubled, divisor]) == 8
    assert PROGRAM.value((x,), {}, [largest]) == 5


def test_a_mistake_without_warnings_where_it_divides_by_zero():
    zero = Variant("divisor", "", 0.0)
    assert np.isinf(PROGRAM.value((np.ones(2),), {}, [zero]))


def test_the_table_has_a_sentence_for_every_kind_and_values_for_some():
    for table, kinds in sentences().items():
        for kind, entry in kinds.items():
            sentence, *values = [entry] if isinstance(entry, str) else entry
            assert re.fullmatch(r"[a-z0-9_]+(-[a-z0-9_]+)*", kind), (table, kind)
            assert sentence[:-1].strip() and not sentence.endswith("."), (table, kind)
            assert ("{value" not in sentence) or values, (table, kind)
    assert len(value_kinds()) > 200
    assert not {kind for kind, _ in value_kinds().items()} - {v.kind for t in sentences()
                                                              for v in variants(t)}


def test_kinds_that_gradients_have_too_mean_the_same():
    # one name, one meaning: `npgpt explain` finds both by it
    assert {*KINDS} & {*value_kinds()} <= {
        "eps-outside-root", "mean-for-sum", "repeated-ids-overwritten"}


def test_of_a_kind_in_two_tables_the_first_is_taken_with_all_its_values():
    both = variants("softmax", "attention_weights")
    axis = [v for v in both if v.kind == "softmax-wrong-axis"]
    assert [v.value for v in axis] == [1.0, 2.0] and "rows lie" in axis[0].sentence


def test_a_function_is_given_the_settings_that_it_has_parameters_for():
    settings = {"eps": 1, "rate": 2}
    assert accepted(lambda x, eps: x, settings) == {"eps": 1}
    assert accepted(lambda x, **rest: x, settings) == settings
    assert accepted(np.add, settings) in ({}, settings)


def test_the_first_mistake_that_fits_a_place_is_taken():
    assert pick({}, 1, {"a": 2}) == 1
    assert pick({"b": 1.0}, 1, {"a": 2, "b": 3}) == 3
