"""The parser: options are not guessed from their beginnings, and arguments may follow options."""

import pytest

from npgpt.cli.parser import Parser


@pytest.fixture
def parser():
    parser = Parser("p")
    parser.add_argument("model")
    parser.add_argument("prompt", nargs="?")
    parser.add_argument("--temperature", type=float)
    return parser


def test_an_abbreviated_option_is_an_error_that_names_the_whole_one(parser, capsys):
    with pytest.raises(SystemExit) as stop:
        parser.parse_intermixed_args(["m", "--temper", "1"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "p: unknown option --temper (did you mean '--temperature'?); see p --help\n")


def test_one_argument_too_many_is_named(parser, capsys):
    with pytest.raises(SystemExit):
        parser.parse_intermixed_args(["m", "The", "cat"])
    assert capsys.readouterr().err == (
        "p: unexpected argument 'cat'; quote a text of several words; see p --help\n")


@pytest.mark.parametrize("arguments, prompt", [
    (["m", "--temperature", "0", "Hello"], "Hello"),
    (["--temperature", "0", "m", "Hello"], "Hello"),
    (["m", "Hello", "--temperature", "0"], "Hello"),
    (["m", "--temperature", "0"], None),
    (["m", "--temperature", "0", "-"], "-"),
    (["m", "--temperature", "0", "-5"], "-5"),
    (["m", "--temperature", "0", "--", "--five"], "--five"),
])
def test_arguments_may_stand_before_and_after_options(parser, arguments, prompt):
    parsed = parser.parse_intermixed_args(arguments)
    assert (parsed.model, parsed.prompt, parsed.temperature) == ("m", prompt, 0.0)
