"""Measured sections are written between their marks, and nowhere else."""

import pytest

from benchmarks.readme import put_section, with_section


def test_a_page_changes_between_its_marks_only(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- /a -->\nafter\n")
    for _ in range(2):
        put_section("a", "\nnew\n\n", page)
        assert page.read_text() == "before\n<!-- a -->\nnew\n<!-- /a -->\nafter\n"


def test_a_page_without_the_marks_is_an_error():
    for page in ("nothing", "<!-- a -->\nno end", "<!-- b -->\n<!-- /b -->\n"):
        with pytest.raises(ValueError, match="expected a section between <!-- a -->"):
            with_section(page, "a", "text")
