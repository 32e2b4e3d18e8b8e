"""No damaged checkpoint is loaded: every change of a file is noticed, of any of its copies too."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from npgpt import GPT2, open_model
from npgpt.training.checkpoint import (
    OPTIMIZER_FILE,
    RUN_FILE,
    is_run,
    load_checkpoint,
    read_model,
    save_checkpoint,
    sound_weights,
)
from npgpt.training.loop import train
from npgpt.weights import CheckpointError
from npgpt.weights.checksums import CHECKSUMS

from .conftest import Silent, without_checksums

MODEL, CONFIG = "model.safetensors", "config.json"
FILES = (CHECKSUMS, CONFIG, MODEL, OPTIMIZER_FILE, RUN_FILE)


@pytest.fixture
def run(start, tmp_path):
    """A run with two checkpoints, of the steps 20 and 40, that have no number in common."""
    state = start()
    for state.step in (20, 40):
        for arrays in (state.params, state.mean, state.square):
            for array in arrays.values():
                array += 0.01 * state.step
        save_checkpoint(tmp_path / "run", state)
    return tmp_path / "run"


def older_and_newer(run):
    return sorted((run / "checkpoints").iterdir())


def message(load, path):
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_every_flipped_bit_of_every_file_is_noticed(run, name, where, bit):
    older, newer = older_and_newer(run)
    content = (newer / name).read_bytes()
    flipped = bytearray(content)
    flipped[int(where * len(content))] ^= 1 << bit
    try:
        (newer / name).write_bytes(flipped)
        for load in (load_checkpoint,) if name == OPTIMIZER_FILE else (load_checkpoint, open_model):
            said = message(load, run)
            assert said.startswith(f"{newer}: {name} ")
            assert said.endswith(f"; the sound one before it is {older}")
    finally:
        (newer / name).write_bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_an_older_file_copied_in_is_noticed(run, name):
    older, newer = older_and_newer(run)
    if (older / name).read_bytes() != (newer / name).read_bytes():
        shutil.copy(older / name, newer / name)
        assert str(older) in message(load_checkpoint, run)


@pytest.mark.parametrize("name", FILES)
def test_a_lost_file_is_named_and_none_is_read_in_its_place(run, name):
    older, newer = older_and_newer(run)
    (newer / name).unlink()
    for load in (load_checkpoint, read_model, open_model, sound_weights):
        for place in (run, newer):
            said = message(load, place)
            assert said.startswith(f"{newer}: {name} is missing") and str(older) in said


@pytest.mark.parametrize("name", (CONFIG, MODEL, OPTIMIZER_FILE, RUN_FILE))
def test_a_lost_file_is_named_in_a_checkpoint_of_an_earlier_version(run, name):
    older, newer = map(without_checksums, older_and_newer(run))
    (newer / name).unlink()
    if name == CONFIG:          # the header of the weights says the same
        assert load_checkpoint(run).step == 40
        return
    said = message(load_checkpoint, run)
    assert str(newer / name) in said and str(older) in said
    assert is_run(newer)
    if name != OPTIMIZER_FILE:
        assert str(newer / name) in message(open_model, newer)


def test_moments_are_never_taken_for_a_model(run, tmp_path):
    _, newer = older_and_newer(run)
    (tmp_path / "alone").mkdir()
    for name in (OPTIMIZER_FILE, "other.safetensors"):
        file = tmp_path / "alone" / name
        shutil.copy(newer / OPTIMIZER_FILE, file)
        assert "contains AdamW's moments and no model" in message(GPT2.load, file)
        assert "contains no weights" in message(GPT2.load, file.parent) or name != OPTIMIZER_FILE
        file.unlink()


def set_record(**changes):
    def change(folder):
        record = json.loads((folder / RUN_FILE).read_text())
        record |= changes
        (folder / RUN_FILE).write_text(json.dumps(record))
    return change


def set_model_setting(**changes):
    def change(folder):
        record = json.loads((folder / RUN_FILE).read_text())
        record["run"]["model"] |= changes
        (folder / RUN_FILE).write_text(json.dumps(record))
    return change


def set_config(**changes):
    def change(folder):
        config = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps(config | changes))
    return change


def set_note(**changes):
    def change(folder):
        note = json.loads((folder / CONFIG).read_text())
        save_file(load_file(folder / MODEL), folder / MODEL,
                  {"format": "pt", "npgpt.config": json.dumps(note | changes)})
    return change


CHANGES = [
    (set_record(step=5), "step is 5 in run.json, 40 in the name of the folder"),
    *((change(resid_pdrop=0.2), "resid_pdrop is ") for change in (
        set_model_setting, set_config, set_note)),
    *((change(initializer_range=0.5), "initializer_range is ") for change in (
        set_model_setting, set_config, set_note)),
    *((change(n_head=4), "n_head") for change in (set_model_setting, set_config, set_note)),
]


@pytest.mark.parametrize("change, says", CHANGES)
def test_a_value_changed_in_one_copy_is_noticed_in_checkpoints_of_any_version(run, change, says):
    older, newer = map(without_checksums, older_and_newer(run))
    change(newer)
    for load in (load_checkpoint, open_model, sound_weights):
        said = message(load, run)
        assert says in said and str(older) in said


@pytest.mark.parametrize("change, says", CHANGES)
def test_a_value_changed_in_one_copy_does_not_match_the_checksum(run, change, says):
    older, newer = older_and_newer(run)
    change(newer)
    assert message(load_checkpoint, run).startswith(f"{newer}: ")


def test_each_copy_is_named_with_its_value(run):
    _, newer = map(without_checksums, older_and_newer(run))
    set_config(attn_pdrop=0.3)(newer)
    assert ("attn_pdrop is 0.3 in config.json, 0.1 in run.json, 0.1 in the header of "
            "model.safetensors") in message(load_checkpoint, newer)


def test_a_checkpoint_under_another_name_has_its_step_in_run_json_alone(run):
    _, newer = older_and_newer(run)
    assert load_checkpoint(newer.rename(run / "best")).step == 40
    (run / "best").rename(newer.with_name("aside-2-step-00000041"))
    assert "40 in run.json, 41 in the name" in message(
        load_checkpoint, newer.with_name("aside-2-step-00000041"))


def test_a_run_of_the_version_before_checksums_is_resumed_bit_for_bit(start, corpus, tmp_path):
    whole = start()
    train(tmp_path / "whole", whole, corpus, Silent())
    train(tmp_path / "run", start(), corpus, Silent(), lambda: True)
    for checkpoint in (tmp_path / "run" / "checkpoints").iterdir():
        without_checksums(checkpoint)
    state = load_checkpoint(tmp_path / "run")
    assert 0 < state.step < whole.step
    train(tmp_path / "run", state, corpus, Silent())
    for name in ("params", "mean", "square"):
        for key, array in getattr(whole, name).items():
            np.testing.assert_array_equal(getattr(state, name)[key], array)
    assert (tmp_path / "run" / "checkpoints" / "step-00000012" / CHECKSUMS).is_file()
