"""What the course says fits 80 columns, and says what is needed."""

import json
import re

import pytest

from npgpt.learn import words
from npgpt.learn.examine import examine
from npgpt.learn.exercise import read_course

PLAIN = re.compile(r"\033\[[\d;]*m")


def said(lines):
    text = list(lines)
    # a path is not cut: it is there to be copied
    assert [line for line in text if len(PLAIN.sub("", line)) > 80 and "/" not in line] == []
    return "\n".join(text)


@pytest.mark.parametrize("colour", [False, True])
def test_everything_fits_80_columns_with_and_without_colour(double, colour, tmp_path):
    wrong = double.changed(double.about["wrong"][0])
    results = [examine(double, text) for text in (double.stub, wrong, double.solution)]
    for result in results:
        said(words.of_result(result, True, colour))
    said(words.of_list([double] * 3, results, colour))
    said(words.of_pass(double, double.solution, colour))
    text = said(words.of_exercise(double, tmp_path.relative_to(tmp_path) / "f.py", colour))
    assert ("\033[" in text) == colour
    for exercise in read_course():
        said(words.of_list([exercise], results[:1], colour))
        for number in (1, 2, 3):
            said(words.of_hint(exercise, number))


def test_a_finding_leads_to_its_explanation_and_more(double):
    result = examine(double, double.changed(double.about["wrong"][0]))
    text = said(words.of_result(result, False, False))
    assert "right so far: the values of double_forward" in text
    assert "npgpt explain factor" in text and "--all" in text and "npgpt learn hint double" in text


def test_only_the_first_lines_of_what_was_printed_are_shown_in_words_and_json(double):
    source = double.solution.replace("    out = 2", "    print(*range(50), sep='\\n')\n    out = 2")
    result = examine(double, source)
    text = said(words.of_result(result, False, False))
    assert re.search(r"\n   7\n   \.\.\. [\d,]+ lines in all", text) and "\n   8\n" not in text
    assert len(json.dumps(result.to_dict())) < 1000


def test_a_pass_has_a_note_the_solutions_place_and_a_wrong_answer(double):
    text = said(words.of_pass(double, double.solution, False))
    for part in ("A linear map", "the factor forgotten", "half the rate",
                 "in the solution,\n       dx = 2 * dout\n   they write\n       dx = dout\n",
                 "npgpt learn fault double"):
        assert part in text
    assert str(double.place) in text.replace("\n", "")


def test_a_wrong_answer_is_shown_with_its_lines_in_order_and_their_indentation():
    for exercise in read_course():
        for wrong in exercise.about["wrong"]:
            solution = words.without_marks(exercise.solution)
            before, after = words.edited(exercise, wrong)
            for block, text in (before, solution), (after, exercise.changed(wrong)):
                lines = words.without_marks(text).splitlines()
                wanted = [line.strip() for line in block]
                assert any([line.strip() for line in lines[n:n + len(block)]] == wanted
                           for n in range(len(lines)))
            # one shift for all of them
            whole = solution.splitlines()
            first = next(n for n in range(len(whole)) if [
                line.strip() for line in whole[n:n + len(before)]] == [b.strip() for b in before])
            shifts = {len(old) - len(new) for old, new in zip(whole[first:], before) if new}
            assert len(shifts) <= 1


def test_the_nearest_wrong_answer_is_the_one_that_was_nearly_written():
    softmax = next(e for e in read_course() if e.name == "softmax")
    for wrong in softmax.about["wrong"]:
        assert words.nearest(softmax, softmax.changed(wrong))["name"] == wrong["name"]
