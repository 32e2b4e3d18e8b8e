from __future__ import annotations

from npgpt.book import chapter2
from npgpt.book.figures import SAME, figures_of


def test_every_number_of_the_chapter_is_met():
    assert [figure.name for figure in figures_of(chapter2.PARTS) if figure.verdict != SAME] == []


def test_words_and_signs_are_separated():
    assert chapter2.words("Hello, world. Is this-- a test?") == [
        "Hello", ",", "world", ".", "Is", "this", "--", "a", "test", "?"]
    assert chapter2.words("a self-made man") == ["a", "self-made", "man"]
    assert chapter2.words(" \n") == []
