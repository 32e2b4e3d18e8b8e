"""Every kind of fault has a text whose example is wrong, and right, as it says."""

import warnings

import pytest

from npgpt.doctor import examine_file
from npgpt.doctor.evidence.kinds import KINDS
from npgpt.doctor.explanations import example, explained, explanations, listed
from npgpt.doctor.values.program import value_kinds

NAMED = 44   # of the wrong examples, at least, are reported under the very name they stand for


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The kinds reported for every example: {(kind, wrong): [...]}."""
    folder = tmp_path_factory.mktemp("examples")
    return {(kind, wrong): kinds_of(kind, wrong, folder) for kind in KINDS for wrong in (0, 1)}


def kinds_of(kind, wrong, folder):
    path = folder / f"{kind.replace('-', '_')}_{wrong}.py"
    path.write_text(example(kind, bool(wrong)))
    with warnings.catch_warnings(action="ignore"):      # the examples divide by zero, too
        reports = examine_file(str(path))
    return [found for report in reports for found in report.kinds]


def test_every_kind_has_a_text_and_every_text_a_kind():
    assert sorted(explanations()) == sorted(KINDS)


def test_the_wrong_line_of_every_example_is_reported_and_the_right_one_is_right(found):
    assert [kind for kind in KINDS if not found[kind, 1]] == []
    assert {kind: found[kind, 0] for kind in KINDS if found[kind, 0]} == {}


def test_nearly_every_example_is_reported_under_its_own_name(found):
    assert sum(found[kind, 1][:1] == [kind] for kind in KINDS) >= NAMED


@pytest.mark.parametrize("kind", [*KINDS, *list(value_kinds())[::40]])
def test_a_text_fits_a_terminal_and_has_its_parts(kind):
    text = explained(kind)
    assert text.startswith(f"{kind}\n") and max(map(len, text.splitlines())) <= 80
    if kind in KINDS:
        assert all(part in text for part in ("\n    def ", "\nBy hand: ", "\nWho meets it: "))
        assert explanations()[kind].count("# wrong") >= 1


def test_the_list_has_every_kind():
    text = listed()
    assert all(kind in text for kind in [*KINDS, *value_kinds()])
    assert max(map(len, text.splitlines())) <= 80


def test_an_unknown_kind_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"'missing-trm' \(did you mean 'missing-term'\?\)"):
        explained("missing-trm")
