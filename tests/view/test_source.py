"""What can be looked at: runs, checkpoints, presets, weights; and on which text."""

import json
import shutil

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config
from npgpt.training.checkpoint import newest_checkpoint
from npgpt.view.source import subject, window
from npgpt.weights import CheckpointError
from npgpt.weights.checksums import measured, write_checksums
from npgpt.weights.hub import own_folder

from ..cli.conftest import fresh_folder, npgpt, run_folder, story

pytestmark = pytest.mark.smoke
__all__ = ["fresh_folder", "npgpt", "run_folder", "story"]


def test_a_run_and_its_checkpoint_have_their_weights_step_and_moments(run_folder):
    folder = newest_checkpoint(run_folder)
    for path, kind in ((run_folder, "run"), (folder, "checkpoint")):
        found = subject(str(path))
        assert (found.kind, found.step, found.optimizer.step) == (kind, 4, 4)
        assert found.optimizer.mean.keys() == found.params.keys() == found.optimizer.square.keys()
        assert [line["step"] for line in found.log][-1] == 4
        text = window(found, None, None)
        assert len(text.ids) == 8 and text.source.endswith("(val)")
        # the text goes on, so every position has a target
        np.testing.assert_array_equal(text.ids[1:], text.targets[:-1])
        assert text.targets[-1] >= 0


def test_a_typed_text_is_read_as_it_is(run_folder, story):
    found = subject(str(run_folder))
    typed = story.read_text()[:6]
    text = window(found, typed, 4)
    assert found.tokenizer.decode(text.ids) == typed[:4] and text.total == 6
    with pytest.raises(ValueError, match="'日' .* is not among"):
        window(found, "日本", 4)


def test_a_config_file_is_the_run_before_training(run_folder):
    found = subject(str(run_folder / "config.toml"))
    assert (found.kind, found.step) == ("preset", 0) and found.optimizer.mean is None
    trained = subject(str(run_folder))
    assert found.config == trained.config and found.tokenizer == trained.tokenizer
    assert any((found.params[name] != trained.params[name]).any() for name in found.params)


def test_settings_change_a_preset_and_nothing_trained(run_folder):
    found = subject(str(run_folder / "config.toml"), {"n_layer": 3, "residual": False})
    assert found.config.n_layer == 3 and not found.config.residual
    with pytest.raises(ValueError, match="n_layer belongs to an untrained preset"):
        subject(str(run_folder), {"n_layer": 3})


def test_a_run_with_nan_is_opened_and_a_damaged_one_is_not(run_folder):
    folder = newest_checkpoint(run_folder)
    model = GPT2.load(folder)
    model.params["ln_f.bias"][2] = np.nan
    model.save(folder)
    with pytest.raises(CheckpointError, match="checksums.json is missing"):
        subject(str(run_folder))
    write_checksums(folder, measured(folder))
    assert np.isnan(subject(str(run_folder)).params["ln_f.bias"][2])


@pytest.mark.filterwarnings("ignore:.* brings no tokenizer")
def test_weights_alone_have_gpt2s_tokenizer_and_a_sentence_of_48_tokens(tmp_path):
    config = GPT2Config(n_positions=64, n_embd=4, n_layer=1, n_head=2)
    GPT2.init(config).save(tmp_path / "weights")
    with pytest.warns(UserWarning, match="brings no tokenizer: GPT-2's own is used"):
        found = subject(str(tmp_path / "weights"))
    assert (found.kind, found.step, found.optimizer.mean) == ("weights", None, None)
    text = window(found, None, None)
    assert len(text.ids) == 48 and len(window(found, None, 10).ids) == 10
    assert found.tokenizer.decode(text.ids).startswith("The animal did not cross")


def test_gpt2_is_the_published_model_where_it_was_pulled_and_a_preset_elsewhere(monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", "none")
    small = {"n_layer": 1, "n_embd": 4, "n_head": 2, "n_positions": 8}
    assert subject("gpt2", small).kind == "preset"
    config = GPT2Config(n_positions=64, n_embd=4, n_layer=1, n_head=2)
    GPT2.init(config).save(own_folder("gpt2"))
    found = subject("gpt2")         # its tokenizer is known: no word about it
    assert (found.kind, found.config) == ("weights", config)
    assert subject("gpt2", small).kind == "preset"


@pytest.mark.parametrize("name, message", [
    ("python-dcos", "nor a preset .did you mean 'python-docs'.."),
    ("finetune", "begins with a trained model"), ("lora", "begins with a trained model"),
])
def test_an_unknown_model_says_what_would_fit(name, message):
    with pytest.raises((ValueError, CheckpointError), match=message):
        subject(name)


def test_a_checkpoint_without_moments_is_opened(run_folder):
    folder = newest_checkpoint(run_folder)
    (folder / "optimizer.safetensors").unlink()
    record = json.loads((folder / "run.json").read_text())
    record.pop("checksums")
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "checksums.json").unlink()
    moved = shutil.move(folder, run_folder.parent / "alone")
    found = subject(str(moved))
    assert found.optimizer.mean is None and found.step == 4
