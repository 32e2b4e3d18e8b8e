"""Explanations: every kind has one, with an example where inputs can be drawn."""

from pathlib import Path

import pytest

from npgpt import doctor
from npgpt.doctor.values.explained import explain_value, kinds_page
from npgpt.doctor.values.program import value_kinds


@pytest.mark.smoke
def test_a_kind_is_explained_with_an_example():
    text = explain_value("wrong-eps")
    assert "Eps is 0 in this LayerNorm; it should be 1e-05." in text
    assert "Where it happens: layernorm, block, unembedding, second_norm." in text
    assert "For example in layernorm" in text and "should be 1.2" in text


def test_every_kind_is_explained_and_most_have_an_example():
    texts = {kind: explain_value(kind) for kind in value_kinds()}
    assert all(text and "{" not in text for text in texts.values())
    assert sum("For example" in text for text in texts.values()) > 0.9 * len(texts)


def test_a_kind_with_a_meaning_for_each_program_has_all_of_them():
    text = explain_value("softmax-wrong-axis")
    assert "last one" in text and "queries instead of the keys" in text and "vocabulary" in text


def test_the_page_lists_every_kind_and_no_other():
    page = Path(doctor.__file__).with_name("README.md").read_text(encoding="utf-8")
    assert f"<!-- value-kinds -->\n{kinds_page()}\n<!-- /value-kinds -->" in page
    assert all(f"| {kind} |" in kinds_page() for kind in value_kinds())


def test_another_kind_has_none():
    assert explain_value("wrong-sign") is None
