"""What a run begins with: parameters that are drawn, or those of a trained model."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from npgpt import GPT2, weights
from npgpt.text import CharTokenizer, load_corpus
from npgpt.training.checkpoint import load_checkpoint, newest_checkpoint
from npgpt.training.initial import fitted, read_any
from npgpt.training.log import read_lines
from npgpt.training.loop import new_state, train
from npgpt.training.settings import resolve
from npgpt.training.tasks import load_task
from npgpt.weights import CheckpointError
from npgpt.weights.peft import base_of, based_on

from .conftest import SMALL


@pytest.fixture
def begun(start, corpus, tmp_path):
    """The folder of a short run."""
    train(tmp_path / "first", start(max_steps=2), corpus)
    return tmp_path / "first"


@pytest.fixture
def other_text(tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("the dog sat on a cat and the mat looked at the cat\n" * 20)
    return path


def tokens(text, tokenizer):
    return load_corpus(text, tokenizer, 0.1, cache_dir=text.parent / "cache")


def finetuning(folder, **asked):
    given = {"init_from": str(folder), "max_steps": 3, "grad_accumulation": 1, **asked}
    return fitted(resolve("finetune", flags=given), given)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_begins_with_the_weights_and_the_tokenizer_of_another(begun, other_text, dtype):
    settings, tokenizer = finetuning(begun, dtype=dtype)
    state = new_state(settings, tokens(other_text, tokenizer))
    before = load_checkpoint(begun)
    assert state.step == 0 and state.tokenizer.to_dict() == before.tokenizer.to_dict()
    assert not any(state.mean[name].any() for name in state.mean)
    for name, array in before.params.items():
        assert state.params[name].dtype == dtype
        np.testing.assert_array_equal(state.params[name], array)


def test_the_model_it_began_with_is_left_as_it_was(begun, other_text, tmp_path):
    before = read_any(begun)[1]
    settings, tokenizer = finetuning(begun)
    corpus = tokens(other_text, tokenizer)
    train(tmp_path / "second", new_state(settings, corpus), corpus)
    after, tuned = read_any(begun)[1], read_any(tmp_path / "second")[1]
    assert all((before[name] == after[name]).all() for name in before)
    assert not (tuned["wte.weight"] == after["wte.weight"]).all()


def test_dropout_may_be_chosen_and_the_rest_of_the_architecture_may_not(begun):
    settings, _ = finetuning(begun, resid_pdrop=0.3, n_layer=SMALL["n_layer"])
    assert settings.model["resid_pdrop"] == 0.3 and settings.model["attn_pdrop"] == 0.1
    for asked in ({"n_layer": 5}, {"tokenizer": "gpt2"}, {"qkv_bias": False}):
        with pytest.raises(ValueError, match="does not fit .* which has .*; leave it out"):
            finetuning(begun, **asked)


def test_settings_and_texts_that_are_not_the_models_are_named(begun, other_text):
    settings, tokenizer = finetuning(begun)
    backwards = CharTokenizer(tokenizer.characters[::-1])
    with pytest.raises(ValueError, match="expected its tokenizer"):
        new_state(settings, tokens(other_text, backwards))
    deeper = replace(settings, model={**settings.model, "n_layer": 3})
    with pytest.raises(ValueError, match="the model settings are not those of"):
        new_state(deeper, tokens(other_text, tokenizer))


def test_a_sequence_is_as_long_as_the_preset_says_or_the_model_allows(begun):
    positions = load_checkpoint(begun).config.n_positions
    assert finetuning(begun)[0].sequence_length == min(256, positions)
    assert finetuning(begun, sequence_length=3)[0].sequence_length == 3


def losses(folder):
    return [record["loss"] for record in read_lines(folder / "log.jsonl") if "loss" in record]


def test_low_rank_updates_alone_are_trained_saved_and_resumed(begun, other_text, tmp_path):
    asked = {"lora_rank": 2, "lora_alpha": 4.0, "lora_on": "c_attn,mlp.c_proj", "max_steps": 6,
             "learning_rate": 0.01, "checkpoint_every": 2}
    settings, tokenizer = finetuning(begun, **asked)
    corpus = tokens(other_text, tokenizer)
    whole = new_state(settings, corpus)
    assert set(whole.mean) == {n for n in whole.params if ".lora_" in n} and len(whole.mean) == 8
    before = {name: array.copy() for name, array in whole.params.items()}
    train(tmp_path / "whole", whole, corpus)
    stops = iter([False, False, True])
    train(tmp_path / "parts", new_state(settings, corpus), corpus, should_stop=lambda: next(stops))
    resumed = load_checkpoint(tmp_path / "parts")
    assert resumed.step == 3
    train(tmp_path / "parts", resumed, corpus)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    config, params, _ = read_any(tmp_path / "parts")
    assert config == whole.config and config.lora_scale == 2.0
    for name, array in whole.params.items():
        np.testing.assert_array_equal(params[name], array)
        assert (array == before[name]).all() == (".lora_" not in name)
    files = {file.name for file in newest_checkpoint(tmp_path / "parts").iterdir()}
    assert files == {"adapter_model.safetensors", "adapter_config.json", "run.json",
                     "optimizer.safetensors", "checksums.json"}


def test_an_adapter_belongs_to_the_weights_that_it_was_trained_on(begun, other_text, tmp_path):
    settings, tokenizer = finetuning(begun, lora_rank=2)
    corpus = tokens(other_text, tokenizer)
    train(tmp_path / "tuned", new_state(settings, corpus), corpus)
    base = newest_checkpoint(begun)
    config, params = weights.load(base)
    (base / "checksums.json").unlink()
    weights.save(base, config, {name: array + 1 for name, array in params.items()})
    with pytest.raises(CheckpointError, match="are not those that it was trained on"):
        load_checkpoint(tmp_path / "tuned")
    shutil.rmtree(base)
    with pytest.raises(CheckpointError, match="its base model .* cannot be read"):
        load_checkpoint(tmp_path / "tuned")


def test_a_run_whose_base_has_moved_goes_on_and_its_checkpoints_name_the_new_place(
    begun, other_text, tmp_path
):
    settings, tokenizer = finetuning(begun, lora_rank=2, max_steps=2)
    corpus = tokens(other_text, tokenizer)
    train(tmp_path / "tuned", new_state(settings, corpus), corpus)
    begun.rename(tmp_path / "moved")
    base = newest_checkpoint(tmp_path / "moved")
    with based_on(base):
        state = load_checkpoint(tmp_path / "tuned")
        state.run = replace(state.run, train=replace(state.run.train, max_steps=3))
        train(tmp_path / "tuned", state, corpus)
    assert base_of(newest_checkpoint(tmp_path / "tuned")) == str(base)
    # from now on without a word
    state = load_checkpoint(tmp_path / "tuned")
    state.run = replace(state.run, train=replace(state.run.train, max_steps=4))
    train(tmp_path / "tuned", state, corpus)
    assert base_of(newest_checkpoint(tmp_path / "tuned")) == str(base)
    for path in (tmp_path / "tuned", newest_checkpoint(tmp_path / "tuned")):
        assert read_any(path, base)[0].lora_rank == 2
        with pytest.raises(ValueError, match="is not an adapter"):
            read_any(tmp_path / "moved", base)


def test_a_checkpoint_that_an_adapter_was_trained_on_is_kept(begun, other_text, corpus, tmp_path):
    settings, tokenizer = finetuning(begun, lora_rank=2)
    text, base = tokens(other_text, tokenizer), newest_checkpoint(begun)
    train(tmp_path / "tuned", new_state(settings, text), text)
    state = load_checkpoint(begun)
    state.run = replace(state.run, train=replace(
        state.run.train, max_steps=6, checkpoint_every=1, keep_checkpoints=1))
    train(begun, state, corpus)
    assert newest_checkpoint(begun) != base and base.is_dir()
    assert load_checkpoint(tmp_path / "tuned").config.lora_rank == 2


def test_training_goes_on_from_an_adapter(begun, other_text, tmp_path):
    settings, tokenizer = finetuning(begun, lora_rank=2, learning_rate=0.01)
    corpus = tokens(other_text, tokenizer)
    train(tmp_path / "one", new_state(settings, corpus), corpus)
    more, _ = finetuning(tmp_path / "one")
    state = new_state(more, corpus)
    for name, array in load_checkpoint(tmp_path / "one").params.items():
        np.testing.assert_array_equal(state.params[name], array)
    train(tmp_path / "two", state, corpus)
    assert base_of(newest_checkpoint(tmp_path / "two")) == str(newest_checkpoint(begun))
    with pytest.raises(ValueError, match="lora_rank=3 does not fit"):
        finetuning(tmp_path / "one", lora_rank=3)


def test_the_context_may_be_cropped_and_not_extended(begun, other_text):
    settings, tokenizer = finetuning(begun, n_positions=5)
    state = new_state(settings, tokens(other_text, tokenizer))
    assert settings.sequence_length == 5 and state.config.n_positions == 5
    np.testing.assert_array_equal(
        state.params["wpe.weight"], load_checkpoint(begun).params["wpe.weight"][:5])
    with pytest.raises(ValueError, match="n_positions=9 does not fit .* which has 8; leave it out"):
        finetuning(begun, n_positions=9)


def test_a_classifier_and_its_updates_are_saved_and_read_back(begun, tmp_path):
    path = tmp_path / "labelled.tsv"
    path.write_text("".join(f"{'ab'[n % 2]}\tthe {'cat' if n % 2 else 'dog'}\n" for n in range(12)))
    for extra in ({"lora_rank": 2}, {"freeze": "wte,wpe,h.0"}):
        asked = {"task": "classify", "labels": "a,b", "n_labels": 2, "corpus": str(path), **extra}
        settings, tokenizer = finetuning(begun, **asked)
        corpus = load_task(settings.data, tokenizer, settings.sequence_length)
        state = new_state(settings, corpus)
        assert "score.weight" in state.mean
        train(tmp_path / next(iter(extra)), state, corpus)
        config, params, _ = read_any(tmp_path / next(iter(extra)))
        assert config.n_labels == 2 and params["score.weight"].shape == (2, SMALL["n_embd"])
        for name, array in state.params.items():
            np.testing.assert_array_equal(params[name], array)
        with pytest.raises(ValueError, match="is a classifier .n_labels=2.: it scores labels"):
            GPT2(config, params).generate([1], 1)


def test_a_rank_above_the_sides_of_the_weights_is_rejected(begun):
    with pytest.raises(ValueError, match="lora_rank=99 is above .*; expected far less"):
        finetuning(begun, lora_rank=99)
