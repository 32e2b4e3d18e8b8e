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


@pytest.fixture
def trainer():
    parser = Parser("p")
    for name in ("learning-rate", "n-positions", "resid-pdrop", "embd-pdrop", "attn-pdrop",
                 "threads"):
        parser.add_argument(f"--{name}", type=float)
    parser.add_argument("--stop", action="append")
    return parser


@pytest.mark.parametrize("arguments, found", [
    (["--learning_rate", "1"], {"learning_rate": 1.0}),
    (["--learning_rate=1"], {"learning_rate": 1.0}),
    (["--lr", "1"], {"learning_rate": 1.0}),
    (["--block-size=64"], {"n_positions": 64.0}),
    (["--block_size", "64", "--lr=2"], {"n_positions": 64.0, "learning_rate": 2.0}),
    (["--dropout", "0.5", "--lr", "3"], {"resid_pdrop": 0.5, "embd_pdrop": 0.5, "attn_pdrop": 0.5,
                                         "learning_rate": 3.0}),
    (["--dropout=0"], {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}),
])
def test_another_projects_name_of_an_option_is_read_as_ours(trainer, arguments, found):
    parsed = vars(trainer.parse_intermixed_args(arguments))
    assert {name: value for name, value in parsed.items() if value is not None} == found


@pytest.mark.parametrize("arguments, says", [
    (["--device=cpu"], "unknown option --device=cpu (npgpt computes on the CPU; leave it out)"),
    (["--dropout"], "--resid-pdrop"),
    (["--temp", "1"], "unknown option --temp"),
    (["-l", "1"], "unknown option -l (here '--learning-rate')"),
    (["--lr", "x"], "argument --learning-rate: invalid float value: 'x'"),
])
def test_what_cannot_be_read_as_ours_is_answered_in_one_line(trainer, capsys, arguments, says):
    with pytest.raises(SystemExit):
        trainer.parse_intermixed_args(arguments)
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1


def test_what_follows_a_double_dash_is_left_as_it_is(parser):
    parsed = parser.parse_intermixed_args(["m", "--", "--temp"])
    assert (parsed.model, parsed.prompt) == ("m", "--temp")
