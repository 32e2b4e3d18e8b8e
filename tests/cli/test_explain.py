"""npgpt explain prints the text on a kind, and the list."""

import pytest

from npgpt.cli import main

pytestmark = pytest.mark.smoke


def test_a_kind_is_explained(capsys):
    assert main(["explain", "missing-term"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("missing-term\n============\n") and "By hand:" in out


def test_without_a_kind_all_are_listed(capsys):
    assert main(["explain"]) == 0
    assert "missing-term" in capsys.readouterr().out


def test_an_unknown_kind_is_a_mistake_of_one_line(capsys):
    assert main(["explain", "missing-trm"]) == 2
    assert capsys.readouterr().err.strip() == (
        "npgpt: unknown kind of fault 'missing-trm' (did you mean 'missing-term'?); npgpt explain "
        "lists them all")
