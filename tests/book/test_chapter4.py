"""The figures that need 163 million parameters belong to the command; these are the small ones."""

from __future__ import annotations

import pytest

from npgpt.book import chapter4
from npgpt.book.figures import DIFFERENT


@pytest.mark.parametrize("part", [chapter4._layernorm, chapter4._gelu, chapter4._shortcuts,
                                  chapter4._counts])
def test_every_number_of_the_section_is_met(part):
    assert [figure.name for figure in part() if figure.verdict == DIFFERENT] == []
