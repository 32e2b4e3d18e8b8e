"""What a run begins with: parameters that are drawn, or those of a trained model."""

from dataclasses import replace

import numpy as np
import pytest

from npgpt.text import CharTokenizer, load_corpus
from npgpt.training.checkpoint import load_checkpoint
from npgpt.training.initial import fitted, read_any
from npgpt.training.loop import new_state, train
from npgpt.training.settings import resolve

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
        with pytest.raises(ValueError, match="does not fit init_from: .* has .*; leave it out"):
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
