from __future__ import annotations

from npgpt.book import chapter3
from npgpt.book.figures import DIFFERENT, SAME, figures_of


def test_every_number_of_the_chapter_is_met():
    figures = list(figures_of(chapter3.PARTS))
    assert [figure.name for figure in figures if figure.verdict == DIFFERENT] == []
    # another BLAS may tip a last digit here and there, and no more
    assert sum(figure.verdict == SAME for figure in figures) >= len(figures) - 2
