"""Which text is read: the run's own, or the one that is named."""

from pathlib import Path

import numpy as np
import pytest

from npgpt.cli.parser import Parser
from npgpt.cli.texts import add_model_and_text, load_text
from npgpt.opening import open_model
from npgpt.text import CorpusError, load_corpus


def parsed(*arguments):
    parser = Parser("p")
    add_model_and_text(parser)
    return parser.parse_intermixed_args([str(a) for a in arguments])


def test_model_text_and_split_are_parsed(capsys):
    given = parsed("runs/a", "--split", "all", "b.txt")
    assert (given.model, given.text, given.split) == (Path("runs/a"), "b.txt", "all")
    alone = parsed("runs/a")
    assert (alone.text, alone.split) == (None, None)
    with pytest.raises(SystemExit):
        parsed("runs/a", "--split", "half")
    assert "'half'" in capsys.readouterr().err


def test_a_runs_own_text_is_its_held_out_part(run_folder, story):
    _, tokenizer = open_model(run_folder)
    corpus = load_corpus(story, tokenizer)
    whole = load_corpus(story, tokenizer, 0.0).train
    parts = {"val": corpus.val, "train": corpus.train, "all": whole}
    for model in (run_folder, sorted((run_folder / "checkpoints").iterdir())[-1]):
        for arguments, split in (((), "val"), ((story,), "val"), (("--split", "train"), "train"),
                                 (("--split", "all"), "all")):
            text = load_text(parsed(model, *arguments), tokenizer)
            assert (text.name, text.split) == (corpus.name, split)
            np.testing.assert_array_equal(text.tokens, parts[split])


def test_another_text_is_read_whole_unless_a_split_is_named(run_folder, story, tmp_path):
    _, tokenizer = open_model(run_folder)
    other = tmp_path / "other.txt"
    other.write_bytes(story.read_bytes())
    text = load_text(parsed(run_folder, other), tokenizer)
    assert text.split == "all" and len(text.tokens) == load_corpus(story, tokenizer).n_tokens
    text = load_text(parsed("weights", other, "--split", "val"), tokenizer)
    assert text.split == "val"
    np.testing.assert_array_equal(text.tokens, load_corpus(other, tokenizer, 0.1).val)
    with pytest.raises(ValueError, match="weights has no corpus of its own; name a TEXT"):
        load_text(parsed("weights"), tokenizer)


def test_the_chosen_part_is_loaded_and_must_be_long_enough(run_folder, story):
    _, tokenizer = open_model(run_folder)
    corpus = load_corpus(story, tokenizer)
    text = load_text(parsed(run_folder), tokenizer)
    assert text.split == "val" and text.tokens.tolist() == corpus.val.tolist()
    text = load_text(parsed(run_folder, "--split", "all"), tokenizer)
    assert len(text.tokens) == corpus.n_tokens
    with pytest.raises(CorpusError, match="expected at least 141 tokens, got 140"):
        load_text(parsed(run_folder), tokenizer, len(corpus.val) + 1)
