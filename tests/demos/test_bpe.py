"""The merges of the demonstration against tiktoken, for any text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.demos.bpe import bpe_demo, bpe_picture, bpe_text
from npgpt.text.bpe import BPETokenizer, gpt2_encoding

TEXTS = st.text(st.sampled_from("abcdeost '.\n\té吾🙂"), min_size=1, max_size=30)


@settings(max_examples=30, deadline=None)
@given(TEXTS)
def test_merging_by_hand_gives_the_tokenizers_ids_and_the_text_back(text):
    shown = bpe_demo(text)
    assert shown.ids == BPETokenizer().encode(text).tolist()
    assert "".join(piece.text for piece in shown.pieces) == text
    assert max(map(len, bpe_text(shown).splitlines())) <= 80


def test_each_merge_joins_the_lowest_rank_that_there_is():
    ranks = gpt2_encoding()._mergeable_ranks
    for piece in bpe_demo("unbelievable tokenization").pieces:
        for parts, (left, right, rank) in zip(piece.steps, piece.merges):
            here = [ranks[a + b] for a, b in zip(parts, parts[1:]) if a + b in ranks]
            assert rank == min(here) == ranks[left + right]


def test_training_joins_the_most_frequent_pair_and_stops_where_none_occurs_twice():
    shown = bpe_demo("aab aab aac", merges=5)
    # " aa" twice in words after a space, "aa" three times in all
    assert [(left + right, count) for left, right, count in shown.trained][0] == (b"aa", 3)
    assert all(count >= 2 for _, _, count in shown.trained)
    assert bpe_demo("abc").trained == [] and "no pair occurs twice" in bpe_text(bpe_demo("abc"))


@pytest.mark.parametrize("text, says", [("", "text is empty"), ("a" * 1001, "1,000 bytes"),
                                        ("\ud800", "surrogate")])
def test_a_wrong_text_is_named(text, says):
    with pytest.raises(ValueError, match=says):
        bpe_demo(text)


@pytest.mark.parametrize("text", ["x", "$5 costs $6", "吾輩は猫である", "a" * 50])
def test_any_word_can_be_drawn(text, tmp_path):
    pytest.importorskip("matplotlib")
    from npgpt.display.drawing import save

    save(bpe_picture(bpe_demo(text)), tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
