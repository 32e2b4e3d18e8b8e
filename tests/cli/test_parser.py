"""The parser: options are not guessed from their beginnings."""

from pathlib import Path

import pytest

import npgpt.cli.parser
from npgpt.cli.parser import Parser, add_model_and_text, add_threads, use_threads


def test_an_abbreviated_option_is_an_error_that_names_the_whole_one(capsys):
    parser = Parser(prog="p")
    parser.add_argument("--temperature")
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--temp", "1"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("p: unknown option --temp")


def test_what_is_right_parses():
    parser = Parser(prog="p")
    parser.add_argument("--temperature", type=float)
    assert parser.parse_args(["--temperature", "0.5"]).temperature == 0.5


def test_a_model_and_its_text_are_declared_alike_wherever_they_are_read(capsys):
    parser = Parser(prog="p")
    add_model_and_text(parser)
    given = parser.parse_args(["runs/a", "b.txt", "--split", "all"])
    assert (given.model, given.text, given.split) == (Path("runs/a"), "b.txt", "all")
    alone = parser.parse_args(["runs/a"])
    assert (alone.text, alone.split) == (None, None)
    with pytest.raises(SystemExit):
        parser.parse_args(["runs/a", "--split", "half"])
    assert "'half'" in capsys.readouterr().err


def test_threads_are_used_as_asked_and_0_leaves_them(monkeypatch):
    parser = Parser(prog="p")
    add_threads(parser)
    assert parser.parse_args([]).threads == 0
    asked = []
    monkeypatch.setattr(npgpt.cli.parser, "tune", asked.append)
    use_threads(0)
    use_threads(parser.parse_args(["--threads", "3"]).threads)
    assert asked == [3]
    with pytest.raises(ValueError, match="expected threads of at least 0.*got -1"):
        use_threads(-1)
