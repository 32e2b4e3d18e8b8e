"""Options that several verbs share."""

import argparse

import pytest

from npgpt.cli import options
from npgpt.cli.parser import Parser


def test_threads_are_used_as_asked_and_0_leaves_them(monkeypatch):
    parser = Parser("p")
    options.add_threads(parser)
    assert parser.parse_args([]).threads == 0
    asked = []
    monkeypatch.setattr(options, "tune", asked.append)
    options.use_threads(0)
    options.use_threads(parser.parse_args(["--threads", "3"]).threads)
    assert asked == [3]
    with pytest.raises(ValueError, match="threads=-1"):
        options.use_threads(-1)


@pytest.mark.parametrize("text", ["-1", "1.5", "x", ""])
def test_a_seed_is_an_integer_of_at_least_0(text):
    assert options.seed_number("7") == 7
    with pytest.raises(argparse.ArgumentTypeError, match="integer of at least 0"):
        options.seed_number(text)


def test_the_model_and_colour_are_declared_alike_wherever_they_are_read():
    parser = Parser("p")
    options.add_model(parser)
    options.add_color(parser)
    options.add_seed(parser, 3, "of the draws")
    parsed = parser.parse_args(["runs/a"])
    assert (str(parsed.model), parsed.color, parsed.seed) == ("runs/a", "auto", 3)
