import numpy as np
import pytest

from npgpt import GPT2Config
from npgpt.cli import VERBS, verb_parser
from npgpt.suggest import ELSEWHERE, did_you_mean, elsewhere, one_line, shown, unknown


def test_the_nearest_name_is_suggested():
    assert did_you_mean("relo", ("gelu", "relu", "silu")) == " (did you mean 'relu'?)"


def test_nothing_is_suggested_where_nothing_is_near():
    assert did_you_mean("attention", ("gelu", "relu")) == ""
    assert did_you_mean("relu", ()) == ""


def test_two_words_may_have_to_be_more_alike():
    assert did_you_mean("n_heads", ("n_head",), 0.8) == " (did you mean 'n_head'?)"
    assert did_you_mean("heads", ("n_head",), 0.8) == ""


def test_the_name_of_another_project_is_answered_with_ours():
    assert did_you_mean("lr", ("learning_rate", "lora")) == " (here 'learning_rate')"
    assert did_you_mean("--block_size", ("--n-positions", "--lr")) == " (here '--n-positions')"
    assert did_you_mean("dropout", ("attn_pdrop", "embd_pdrop", "resid_pdrop")) == (
        " (here 'resid_pdrop' and 'embd_pdrop' and 'attn_pdrop')")
    assert did_you_mean("do_sample", ("temperature", "samples")) == (
        " (temperature 0 is greedy, and above 0 samples)")


def test_a_name_is_answered_only_where_all_of_ours_are_known():
    assert did_you_mean("do_sample", ("samples",)) == " (did you mean 'samples'?)"
    assert elsewhere("dropout", ("resid_pdrop", "embd_pdrop")) == ([], "")
    for word in (7, "", None, "lr " * 10**6):
        assert elsewhere(word, ("learning_rate",)) == ([], "")


def test_every_name_of_another_project_leads_to_one_that_is_there():
    # generate's own settings are options too, but for these
    ours = {"stop_ids", *VERBS}
    for verb in VERBS:
        for action in verb_parser(verb)._actions:
            ours |= {name.lstrip("-").replace("-", "_") for name in action.option_strings}
            ours.add(str(action.metavar).lower())
    assert {name for names, _ in ELSEWHERE.values() for name in names.split()} <= ours
    assert not set(ELSEWHERE) & set(GPT2Config.options())


def test_a_text_from_outside_is_shown_in_one_line_and_shortened():
    assert one_line("a\x1b[2J\r\n  b\u2028c") == "a [2J b c"
    assert one_line("x" * 1000) == "x" * 1000 and one_line("x" * 1000, 9) == "xxxxxx..."
    assert shown(["a\n", 2]) == r"['a\n', 2]" and len(shown("x" * 1000)) == 60


def test_anything_can_be_mistyped():
    assert did_you_mean(7, ("gelu", "relu")) == ""


def test_the_error_for_an_unknown_name_shows_the_nearest_and_all():
    error = unknown("unit", "relo", ("gelu", "relu"))
    assert str(error) == "unknown unit 'relo' (did you mean 'relu'?); expected one of gelu, relu"


class Loud:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("value, text", [
    ("a", "'a'"), (np.ones((2, 2)), "array([[1., 1.], [1., 1.]])"),
    ("x" * 99, "'" + "x" * 56 + "..."),
    (Loud(), "a value of type Loud"), (10**5000, "a value of type int"),
], ids=["text", "array", "long", "loud", "huge"])
def test_a_value_is_shown_on_one_line_whatever_it_is(value, text):
    assert shown(value) == text and len(shown(value)) <= 60


def test_a_text_from_outside_cannot_steer_the_terminal():
    assert one_line("a\x1b[31mb\r\n\tc\u202ed\x07 ") == "a [31mb c d"


def test_a_word_of_a_million_letters_is_like_none_and_that_is_seen_at_once():
    assert did_you_mean("relu" * 250_000, ["relu", "gelu"]) == ""
