"""Lookup and scatter against loops."""

import numpy as np
import pytest

from npgpt.demos.embedding import MOST, embedding_demo, embedding_text


def test_lookup_copies_rows_and_scatter_adds_them():
    shown = embedding_demo("b a b c b", channels=3)
    assert shown.vocabulary == ["a", "b", "bird", "c", "ran"]
    added = [[0.0] * 3 for _ in shown.vocabulary]
    for t, token in enumerate(shown.tokens):
        row = shown.vocabulary.index(token)
        assert shown.looked_up[t].tolist() == shown.table[row].tolist()
        assert shown.out[t] == pytest.approx(shown.table[row] + shown.positions[t])
        added[row] = [a + b for a, b in zip(added[row], shown.dout[t])]
    np.testing.assert_allclose(shown.dtable, added)
    np.testing.assert_array_equal(shown.dpositions, shown.dout)


def test_the_trap_keeps_the_last_and_is_shown_where_a_word_occurs_twice():
    shown = embedding_demo("b a b")
    row = shown.vocabulary.index("b")
    np.testing.assert_array_equal(shown.overwritten[row], shown.dout[2])
    text = embedding_text(shown)
    assert "a trap" in text and "= dout[0] + dout[2]" in text and "0, not in the text" in text
    assert "a trap" not in embedding_text(embedding_demo("b a"))


@pytest.mark.parametrize("channels", [1, 4, 8])
def test_every_width_fits_80_columns(channels):
    shown = embedding_demo(" ".join(f"incomprehensible{n}" for n in range(MOST)), channels)
    assert max(map(len, embedding_text(shown).splitlines())) <= 80


@pytest.mark.parametrize("settings, says", [
    ({"text": " "}, "1 to 12 words, got 0"), ({"text": "a " * 13}, "got 13"),
    ({"channels": 9}, "channels=9"),
])
def test_a_wrong_setting_is_named(settings, says):
    with pytest.raises(ValueError, match=says):
        embedding_demo(**settings)
