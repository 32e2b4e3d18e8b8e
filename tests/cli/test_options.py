"""Options that several verbs share."""

import argparse

import pytest

from npgpt import GPT2, GPT2Config, TextModel, load
from npgpt.cli import main, options
from npgpt.cli.parser import Parser
from npgpt.text import BPETokenizer
from npgpt.text.learned import learn_vocabulary


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


@pytest.fixture
def moved(tmp_path, story):
    """An adapter in a folder, one in a run, whose base is no longer where they say."""
    tokenizer = BPETokenizer(learn_vocabulary([story.read_text()], 300))
    config = GPT2Config(vocab_size=tokenizer.vocab_size, n_positions=16, n_embd=8, n_layer=1,
                        n_head=2)
    TextModel(GPT2.init(config), tokenizer).save(tmp_path / "base")
    assert main(["train", "--from", "base", "--corpus", str(story), "--out", "run", "--lora-rank",
                 "2", "--max-steps", "1", "--sample-every", "0"]) == 0
    load("run").save("adapter")
    (tmp_path / "base").rename(tmp_path / "moved")


@pytest.mark.parametrize("model", ["adapter", "run"])
def test_every_command_that_opens_an_adapter_takes_the_place_of_its_base(
    moved, npgpt, story, model
):
    commands = [
        ["generate", model, "the", "--max-new-tokens", "2"], ["eval", model, story],
        ["entropy", model, story], ["inspect", model], ["view", model, "the fox"],
        ["convert", model, "whole", "--merge"], ["convert", model, "again", "--to", "peft"],
        ["demo", "attention", "--model", model, "--text", "the"], ["verify", model],
        ["train", "--from", model, "--corpus", story, "--max-steps", "1"]]
    for command in commands:
        code, out, err = npgpt(*command)
        assert code in (1, 3) and "name its place with --base" in " ".join((out + err).split())
    for command in commands:
        assert npgpt(*command, "--base", "moved")[0] == 0, command
    assert npgpt("generate", "again", "the")[0] == 0     # it names the new place
    for command in (["generate", "moved", "x"], ["inspect", "moved"], ["view", "moved"]):
        code, _, err = npgpt(*command, "--base", "moved")
        assert code == 2 and "is not an adapter" in err
    assert "that is an adapter; name that too" in npgpt("train", "--base", "moved")[2]
