"""npgpt eval: the same figures as the library's, on the run's own text or another."""

import importlib.util
import json
import math
import re
from pathlib import Path

import pytest

from npgpt.evaluation.last_word import score_last_words
from npgpt.evaluation.text import score_text
from npgpt.generation.quantized import dequantize, quantize
from npgpt.opening import open_model
from npgpt.text import load_corpus
from npgpt.training.checkpoint import newest_checkpoint

from .conftest import put_model


def figure(out, name):
    return float(re.search(rf"^{name} +([\d.,]+)", out, re.M)[1].replace(",", ""))


@pytest.mark.smoke
def test_a_run_is_scored_on_its_held_out_text(npgpt, run_folder, story):
    code, out, err = npgpt("eval", run_folder)
    assert code == 0, err
    model, tokenizer = open_model(run_folder)
    val = load_corpus(story, tokenizer).val
    assert figure(out, "tokens scored") == len(val) - 1
    windows = [val[i:i + 9].astype(int) for i in range(0, len(val) - 1, 8)]
    nats = sum(model.loss(w[:-1], w[1:]) * (len(w) - 1) for w in windows)
    assert figure(out, "loss") == pytest.approx(nats / (len(val) - 1), abs=1e-4)
    assert figure(out, "perplexity") == pytest.approx(math.exp(figure(out, "loss")), rel=1e-3)
    # one byte per character here; the first one is not scored, and so not counted
    assert figure(out, "bits per byte") == pytest.approx(
        nats / math.log(2) / (len(val) - 1), abs=1e-4)
    assert f"over {len(val) - 1} bytes" in out


def test_another_text_is_scored_whole(npgpt, run_folder, tmp_path):
    (tmp_path / "other.txt").write_text("the dog sat on the mat and looked at a cat")
    code, out, _ = npgpt("eval", run_folder, "other.txt")
    assert code == 0 and figure(out, "tokens scored") == 41


def test_more_context_per_token_is_a_smaller_stride(npgpt, run_folder):
    whole, half = npgpt("eval", run_folder)[1], npgpt("eval", run_folder, "--stride", "4")[1]
    assert figure(whole, "tokens scored") == figure(half, "tokens scored")
    assert figure(whole, "loss") != figure(half, "loss")


def test_the_loss_of_rounded_weights_is_the_rounded_models(npgpt, run_folder, story):
    model, tokenizer = open_model(run_folder)
    # weights of some size, so that rounding them shows in four digits
    model.params = {name: 20 * array for name, array in model.params.items()}
    put_model(model, newest_checkpoint(run_folder))
    rounded = dequantize(quantize(model.params, model.config))
    val = load_corpus(story, tokenizer).val
    expected, exact = (score_text(p, model.config, val).loss for p in (rounded, model.params))
    assert abs(expected - exact) > 1e-3
    code, out, err = npgpt("eval", run_folder, "--int8")
    assert code == 0, err
    assert figure(out, "loss") == pytest.approx(expected, abs=1e-4)


def test_questions_give_three_accuracies_with_their_names(npgpt, run_folder, tmp_path):
    question = {"ctx": "the cat", "endings": ["sat on", "dog dog"], "label": 0}
    (tmp_path / "q.jsonl").write_text(json.dumps(question) + "\n" + json.dumps(question) + "\n")
    code, out, err = npgpt("eval", run_folder, "--questions", "q.jsonl")
    assert code == 0, err
    assert figure(out, "questions") == 2 and figure(out, "accuracy") in (0.0, 100.0)
    assert "summed log-probability" in out and "per token" in out and "per character" in out


def test_the_last_words_of_passages_are_predicted(npgpt, run_folder, story):
    lines = story.read_text().splitlines()[:3]
    Path("p.txt").write_text("\n".join(lines))
    model, tokenizer = open_model(run_folder)
    score = score_last_words(model.params, model.config, lines, tokenizer.encode, ops=model.ops)
    code, out, err = npgpt("eval", run_folder, "--last-word", "p.txt", "--batch-size", "2")
    assert code == 0, err
    assert figure(out, "passages") == 3
    assert figure(out, "accuracy") == pytest.approx(100 * score.accuracy, abs=0.01)
    assert figure(out, "perplexity") == pytest.approx(score.perplexity, rel=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("lm_eval") is not None, reason="it is installed")
def test_without_the_harness_the_message_names_the_extra(npgpt, run_folder):
    code, out, err = npgpt("eval", run_folder, "--harness", "lambada_openai")
    assert (code, out) == (2, "") and "pip install 'npgpt[harness]'" in err


@pytest.mark.parametrize("arguments, code, says", [
    (["run", "missing.txt"], 3, "missing.txt"),
    (["nowhere"], 3, "nowhere"),
    (["run", "--stride", "0"], 2, "stride"),
    (["run", "--threads", "-1"], 2, "threads=-1 must be an integer of at least 0"),
    (["run", "--stride", "9"], 2, "stride"),
    (["run", "--questions", "missing.jsonl"], 3, "missing.jsonl"),
    (["run", "story.txt", "--questions", "q.jsonl"], 2, "expected one of them"),
    (["run", "--last-word", "p.txt", "--questions", "q.jsonl"], 2, "--questions and --last-word"),
    (["run", "--last-word", "story.txt", "--batch-size", "0"], 2, "--batch-size=0"),
    (["run", "--limit", "3"], 2, "--limit belongs to --harness"),
])
def test_mistakes_are_one_line(npgpt, run_folder, arguments, code, says):
    got, _, err = npgpt("eval", *arguments)
    assert (got, err.count("\n")) == (code, 1) and says in err


def test_a_character_that_the_model_never_saw_is_named(npgpt, run_folder, tmp_path):
    (tmp_path / "odd.txt").write_text("the cat sat Q")
    code, _, err = npgpt("eval", run_folder, "odd.txt")
    assert code == 3 and "'Q'" in err and err.count("\n") == 1


def test_a_run_that_learned_a_task_is_scored_on_its_held_out_examples(npgpt, run_folder):
    Path("mine.jsonl").write_text("".join(
        json.dumps({"text": "the " * (1 + n % 3), "label": "yn"[n % 2]}) + "\n" for n in range(20)))
    assert npgpt("train", "--from", run_folder, "--corpus", "mine.jsonl", "--task", "classify",
                 "--lora-rank", "2", "--max-steps", "2", "--out", "judge")[0] == 0
    code, out, _ = npgpt("eval", "judge")
    assert code == 0 and "examples        2 of " in out and "accuracy " in out
    assert npgpt("inspect", "judge")[0] == 0 and npgpt("verify", "judge")[0] == 0
    code, _, err = npgpt("entropy", "judge")
    assert (code, err.count("\n")) == (2, 1) and "examples (task classify), not on a text" in err


def test_special_tokens_are_as_the_run_had_them_or_as_asked(npgpt, tmp_path):
    (tmp_path / "t.txt").write_text("the cat sat\n<|endoftext|>the dog sat\n<|endoftext|>" * 9)
    code, _, err = npgpt(
        "train", "--corpus", "t.txt", "--tokenizer", "bpe:260", "--special", "--n-layer", "1",
        "--n-head", "1", "--n-embd", "4", "--n-positions", "8", "--sequence-length", "8",
        "--max-steps", "1", "--batch-size", "2", "--out", "run")
    assert code == 0, err
    scored = {given: figure(npgpt("eval", "run", "t.txt", *given)[1], "tokens scored")
              for given in ((), ("--special",), ("--no-special",))}
    assert scored[()] == scored["--special",] < scored["--no-special",]
