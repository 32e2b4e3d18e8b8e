"""Examples of tasks: what is given, what is counted, and what is said of a wrong file."""

import json

import numpy as np
import pytest

from npgpt import GPT2Config
from npgpt.layers.cross_entropy import IGNORE
from npgpt.params import init_params
from npgpt.text import BPETokenizer, CharTokenizer, CorpusError
from npgpt.training.batches import training_batch
from npgpt.training.tasks import (
    accuracy,
    alpaca_prompt,
    first_prompt,
    found_labels,
    load_examples,
    read_pairs,
)

LETTERS = CharTokenizer("\n abc")


def written(path, *examples):
    path.write_text("".join(json.dumps(one) + "\n" for one in examples))
    return path


def test_of_an_instruction_the_answer_and_the_end_of_the_text_are_counted(tmp_path):
    path = written(tmp_path / "i.jsonl",
                   {"instruction": "Add.", "input": "1 2", "output": "It is 3."},
                   {"prompt": "Say: ", "completion": "yes"})
    tokenizer = BPETokenizer()
    corpus = load_examples(path, "instruct", tokenizer, 1024, 0.5)
    assert tokenizer.decode(first_prompt(corpus)) in (alpaca_prompt("Add.", "1 2"), "Say: ")
    found = {}
    for ids, targets in (*corpus.train, *corpus.val):
        counted = targets != IGNORE
        at = np.flatnonzero(counted)
        assert (np.diff(at) == 1).all() and targets[at[-1]] == tokenizer.eot_id
        np.testing.assert_array_equal(ids[at[1:]], targets[at[:-1]])
        found[tokenizer.decode(ids[:at[0] + 1])] = tokenizer.decode(targets[at[:-1]])
    assert found == {alpaca_prompt("Add.", "1 2"): "It is 3.", "Say: ": "yes"}
    assert alpaca_prompt("Add.", "1 2").endswith(
        "\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n")


@pytest.mark.parametrize("length", [3, 40])
def test_a_label_belongs_to_the_last_token_of_its_text(tmp_path, length):
    path = tmp_path / "c.tsv"
    path.write_text("yes\taabb\nno\tb\nyes\tcab\n")
    assert found_labels(path) == ("no", "yes")
    corpus = load_examples(path, "classify", LETTERS, length, 0.3, found_labels(path))
    texts = {}
    for ids, targets in (*corpus.train, *corpus.val):
        (at,) = np.flatnonzero(targets != IGNORE)
        texts[LETTERS.decode(ids[:at + 1])] = int(targets[at])
    assert texts == {"aabb"[:length]: 1, "b": 0, "cab": 1}


def test_batches_are_whole_examples_cut_behind_the_last_target(tmp_path):
    path = written(tmp_path / "i.jsonl", *(
        {"prompt": "a" * n, "completion": "b"} for n in range(1, 9)))
    corpus = load_examples(path, "instruct", LETTERS, 100, 0.25)
    ids, targets = training_batch(corpus.train, 2, 100, seed=3, step=5)
    assert ids.shape == targets.shape == (2, 1 + np.flatnonzero((targets != IGNORE).any(0))[-1])
    again, _ = training_batch(corpus.train, 2, 100, seed=3, step=5)
    np.testing.assert_array_equal(ids, again)
    assert len(corpus.train) == 6 and len(corpus.val) == 2


def test_accuracy_is_the_fraction_of_labels_with_the_highest_score(tmp_path):
    path = tmp_path / "c.tsv"
    path.write_text("a\taabb\nb\tb\na\tcab\nb\tcc\nb\tab\n")
    corpus = load_examples(path, "classify", LETTERS, 9, 0.8, ("a", "b"))
    config = GPT2Config(vocab_size=5, n_positions=9, n_embd=8, n_layer=1, n_head=2, n_labels=2)
    params = init_params(config, dtype=np.float64)
    params["score.weight"][...] = np.array([[-1.0], [1.0]]) * np.ones(8)
    params["ln_f.weight"][...], params["ln_f.bias"][...] = 0.0, 1.0         # the second label wins
    wanted = (corpus.val[:, 1].max(axis=1) == 1).mean()
    assert accuracy(params, config, corpus.val, batch_size=2) == pytest.approx(wanted)


@pytest.mark.parametrize("task, text, message", [
    ("instruct", '{"instruction": "a", "output": "b"}\n{"text": "a"}\n',
     r"line 2: expected instruction and output .and input., or prompt and completion"),
    ("instruct", '[{"prompt": "a", "completion": "b"}, {"prompt": "a"}]', "example 2: expected"),
    ("instruct", '{"prompt": "a", "completion": "b"}\n', "at least two examples, got 1"),
    ("instruct", "nonsense\n", "line 1"),
    ("classify", "yes\tb\nno\n", "line 2: expected label, tab, text"),
    ("classify", '{"text": "a", "label": null}\n', "line 1: expected text and label"),
])
def test_a_wrong_file_is_named_with_its_line(tmp_path, task, text, message):
    path = tmp_path / "wrong"
    path.write_text(text)
    with pytest.raises(CorpusError, match=message):
        read_pairs(path, task)


def test_labels_may_be_numbers_and_truth_values(tmp_path):
    path = written(tmp_path / "c.jsonl", *({"text": "a", "label": n} for n in (1, 0, True, "b")))
    assert found_labels(path) == ("0", "1", "b", "true")
    with pytest.raises(CorpusError, match="labels without commas, got 'a,b'"):
        found_labels(written(tmp_path / "d.jsonl", *({"text": "a", "label": "a,b"},) * 2))


def test_examples_that_are_too_long_are_left_out_and_counted(tmp_path):
    short, long = ({"prompt": "ab" * n, "completion": "c"} for n in (1, 4))
    path, said = written(tmp_path / "i.jsonl", short, long, short), []
    corpus = load_examples(path, "instruct", LETTERS, 4, 0.1, report=said.append)
    assert len(corpus.train) == len(corpus.val) == 1
    assert said == [f"{path}: 1 of 3 examples are left out: nothing of the answer is within the "
                    f"first 4 tokens"]
    with pytest.raises(CorpusError, match="in 2 of 2 examples: .* have 8 or more"):
        load_examples(written(path, long, long), "instruct", LETTERS, 4, 0.1)


def test_a_label_that_is_not_among_those_asked_for_is_named(tmp_path):
    labelled = tmp_path / "c.tsv"
    labelled.write_text("yes\ta\nno\tb\n")
    with pytest.raises(CorpusError, match="example 2: its label 'no' is not among yes"):
        load_examples(labelled, "classify", LETTERS, 4, 0.1, ("yes",))
