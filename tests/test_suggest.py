from npgpt.suggest import did_you_mean, one_line, shown, unknown


def test_the_nearest_name_is_suggested():
    assert did_you_mean("relo", ("gelu", "relu", "silu")) == " (did you mean 'relu'?)"


def test_nothing_is_suggested_where_nothing_is_near():
    assert did_you_mean("attention", ("gelu", "relu")) == ""
    assert did_you_mean("relu", ()) == ""


def test_two_words_may_have_to_be_more_alike():
    assert did_you_mean("n_heads", ("n_head",), 0.8) == " (did you mean 'n_head'?)"
    assert did_you_mean("heads", ("n_head",), 0.8) == ""


def test_a_text_from_outside_is_shown_in_one_line_and_shortened():
    assert one_line("a\x1b[2J\r\n  b\u2028c") == "a [2J b c"
    assert one_line("x" * 1000) == "x" * 1000 and one_line("x" * 1000, 9) == "xxxxxx..."
    assert shown(["a\n", 2]) == r"['a\n', 2]" and len(shown("x" * 1000)) == 60


def test_anything_can_be_mistyped():
    assert did_you_mean(7, ("gelu", "relu")) == ""


def test_the_error_for_an_unknown_name_shows_the_nearest_and_all():
    error = unknown("unit", "relo", ("gelu", "relu"))
    assert str(error) == "unknown unit 'relo' (did you mean 'relu'?); expected one of gelu, relu"
