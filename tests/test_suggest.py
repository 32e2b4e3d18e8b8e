from npgpt.suggest import did_you_mean, unknown


def test_the_nearest_name_is_suggested():
    assert did_you_mean("relo", ("gelu", "relu", "silu")) == " (did you mean 'relu'?)"


def test_nothing_is_suggested_where_nothing_is_near():
    assert did_you_mean("attention", ("gelu", "relu")) == ""
    assert did_you_mean("relu", ()) == ""


def test_anything_can_be_mistyped():
    assert did_you_mean(7, ("gelu", "relu")) == ""


def test_the_error_for_an_unknown_name_shows_the_nearest_and_all():
    error = unknown("unit", "relo", ("gelu", "relu"))
    assert str(error) == "unknown unit 'relo' (did you mean 'relu'?); expected one of gelu, relu"
