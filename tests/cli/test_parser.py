"""The parser: options are not guessed from their beginnings."""

import pytest

from npgpt.cli.parser import Parser


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
