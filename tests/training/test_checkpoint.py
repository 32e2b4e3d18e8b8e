"""Checkpoints: everything comes back, damage is named, the old stays until the new is whole."""

import errno
import json

import numpy as np
import pytest

from npgpt import GPT2, weights
from npgpt.opening import open_model
from npgpt.training.checkpoint import (
    OPTIMIZER_FILE,
    RUN_FILE,
    checkpoints,
    is_run,
    load_checkpoint,
    newest_checkpoint,
    read_model,
    save_checkpoint,
    set_aside_newer,
)
from npgpt.weights import CheckpointError

from .conftest import without_checksums


def same(a, b):
    return a.keys() == b.keys() and all(
        a[n].dtype == b[n].dtype and np.array_equal(a[n], b[n]) for n in a)


def changed(folder, change):
    record = json.loads((folder / RUN_FILE).read_text())
    change(record)
    (folder / RUN_FILE).write_text(json.dumps(record))


def with_nan(folder):
    config, params = weights.load(folder)
    params = {name: np.array(a) for name, a in params.items()}
    params["wte.weight"][0, 0] = np.nan
    weights.save(folder, config, params)


@pytest.fixture
def state(start):
    state = start()
    rng = np.random.default_rng(1)
    for arrays in (state.mean, state.square):
        for array in arrays.values():
            array[...] = rng.random(array.shape)
    state.step = 3
    return state


def test_everything_comes_back(state, tmp_path):
    path = save_checkpoint(tmp_path / "run", state)
    for place in (path, tmp_path / "run"):
        again = load_checkpoint(place)
        assert (again.step, again.config, again.run) == (3, state.config, state.run)
        assert again.tokenizer == state.tokenizer
        assert again.corpus_fingerprint == state.corpus_fingerprint
        for name in ("params", "mean", "square"):
            assert same(getattr(again, name), getattr(state, name))


def test_a_checkpoint_is_these_files_under_these_names(state, tmp_path):
    from safetensors.numpy import load_file

    path = save_checkpoint(tmp_path, state)
    assert path == tmp_path / "checkpoints" / "step-00000003"
    assert sorted(p.name for p in path.iterdir()) == [
        "checksums.json", "config.json", "model.safetensors", "optimizer.safetensors", "run.json"]
    assert set(json.loads((path / "run.json").read_text())) == {
        "step", "run", "tokenizer", "corpus_fingerprint", "checksums"}
    moments = load_file(path / "optimizer.safetensors")
    assert same(moments, {**{f"m.{name}": a for name, a in state.mean.items()},
                          **{f"v.{name}": a for name, a in state.square.items()}})


def test_what_was_loaded_does_not_change_when_its_file_does(state, tmp_path):
    file = save_checkpoint(tmp_path, state) / "model.safetensors"
    again = load_checkpoint(tmp_path)
    with file.open("r+b") as opened:
        opened.write(b"\x7f" * file.stat().st_size)
    assert same(again.params, state.params)


def test_the_start_of_a_run_can_be_a_checkpoint(state, tmp_path):
    state.step = 0
    save_checkpoint(tmp_path, state)
    assert load_checkpoint(tmp_path).step == 0


def test_a_step_that_is_saved_already_is_not_written_again(state, tmp_path):
    path = save_checkpoint(tmp_path, state)
    before = load_checkpoint(path).params
    state.params = {name: array + 1 for name, array in state.params.items()}
    assert save_checkpoint(tmp_path, state) == path
    assert same(load_checkpoint(path).params, before)


def test_loaded_parameters_can_be_written_to(state, tmp_path):
    save_checkpoint(tmp_path, state)
    again = load_checkpoint(tmp_path)
    for arrays in (again.params, again.mean, again.square):
        for array in arrays.values():
            array += 1.0


def test_only_the_newest_few_stay(state, tmp_path):
    for step in (1, 2, 10, 11):
        state.step = step
        save_checkpoint(tmp_path, state)
    assert [p.name for p in checkpoints(tmp_path)] == ["step-00000010", "step-00000011"]
    assert newest_checkpoint(tmp_path).name == "step-00000011"


def test_an_old_checkpoint_that_cannot_be_deleted_does_not_stop_the_run(state, tmp_path):
    first = save_checkpoint(tmp_path, state)
    first.rename(tmp_path / "on another disk")
    first.symlink_to(tmp_path / "on another disk")
    for step in (4, 5):
        state.step = step
        save_checkpoint(tmp_path, state)
    assert first.is_dir() and newest_checkpoint(tmp_path).name == "step-00000005"


def test_what_only_resembles_a_checkpoint_is_not_one(state, tmp_path):
    assert checkpoints(tmp_path) == []
    path = save_checkpoint(tmp_path, state)
    for folder in ("notes", "step-9", "aside-step-00000009", "step-00000009-old"):
        (path.parent / folder).mkdir()
    (path.parent / "step-00000009").touch()
    assert checkpoints(tmp_path) == [path] and newest_checkpoint(tmp_path) == path


def test_a_run_is_known_by_its_checkpoints_and_a_checkpoint_by_its_record(state, tmp_path):
    path = save_checkpoint(tmp_path / "run", state)
    assert is_run(tmp_path / "run") and is_run(path)
    weights.save(tmp_path / "weights", state.config, state.params)
    assert not is_run(tmp_path / "weights") and not is_run(tmp_path / "nowhere")


def test_checkpoints_after_a_step_are_set_aside_under_a_name_that_is_free(start, tmp_path):
    state = start(keep_checkpoints=9)
    for _ in range(3):
        for step in (3, 4, 5):
            state.step = step
            save_checkpoint(tmp_path, state)
        set_aside_newer(tmp_path, 4)
        assert [p.name for p in checkpoints(tmp_path)] == ["step-00000003", "step-00000004"]
    aside = sorted(p.name for p in (tmp_path / "checkpoints").glob("aside*"))
    assert aside == ["aside-2-step-00000005", "aside-3-step-00000005", "aside-step-00000005"]
    assert load_checkpoint(tmp_path / "checkpoints" / aside[0]).step == 5


def test_the_error_about_a_damaged_checkpoint_names_the_sound_one_before_it(start, tmp_path):
    state, paths = start(keep_checkpoints=9), []
    for step in (1, 2, 3, 4, 5):
        state.step = step
        paths.append(save_checkpoint(tmp_path, state))
    paths[1] = without_checksums(paths[1])
    for path in (paths[0], *paths[2:]):
        (path / "config.json").write_text("{")
    for read in (load_checkpoint, read_model):
        for place in (paths[2], paths[3], tmp_path):
            with pytest.raises(CheckpointError) as caught:
                read(place)
            assert str(caught.value).endswith(f"; the sound one before it is {paths[1]}")
        with pytest.raises(CheckpointError) as caught:
            read(paths[0])
        assert "before" not in str(caught.value)


def test_a_full_disk_leaves_the_previous_checkpoint_and_no_litter(state, tmp_path, monkeypatch):
    save_checkpoint(tmp_path, state)
    state.step = 4

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("npgpt.training.checkpoint.write_safetensors", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, state)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-00000003"]
    assert load_checkpoint(tmp_path).step == 3


def test_a_folder_without_checkpoints_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_checkpoint(tmp_path)


@pytest.mark.smoke
@pytest.mark.parametrize("damage, says", [
    (lambda p: (p / RUN_FILE).write_text("{"), RUN_FILE),
    (lambda p: (p / RUN_FILE).unlink(), "run.json cannot be read: No such file"),
    (lambda p: (p / RUN_FILE).write_text("[]"), "is not a JSON object"),
    (lambda p: (p / RUN_FILE).write_text('{"step": "3"}'), "step: expected an integer, got '3'"),
    (lambda p: changed(p, lambda r: r.update(step=True)), "step: expected an integer, got True"),
    (lambda p: changed(p, lambda r: r.pop("run")), "run: is missing"),
    (lambda p: changed(p, lambda r: r.update(run=[])), "run: expected an object"),
    (lambda p: changed(p, lambda r: r.pop("tokenizer")), "tokenizer: is missing"),
    (lambda p: changed(p, lambda r: r.update(tokenizer="char")), "tokenizer: expected an object"),
    (lambda p: changed(p, lambda r: r.pop("corpus_fingerprint")), "corpus_fingerprint: is missing"),
    (lambda p: changed(p, lambda r: r.update(corpus_fingerprint=3)), "expected a string"),
    (lambda p: changed(p, lambda r: r["run"].pop("train")), "table 'train' is missing"),
    (lambda p: changed(p, lambda r: r["run"].update(train=3)), "run.json: run.train: expected"),
    (lambda p: changed(p, lambda r: r.update(step=-1)), "step: expected at least 0, got -1"),
    (lambda p: changed(p, lambda r: r.update(tokenizer={"name": "char"})), RUN_FILE),
    (lambda p: changed(p, lambda r: r["tokenizer"].update(
        characters=r["tokenizer"]["characters"][1:])), "vocab_size"),
    (lambda p: with_nan(p), "wte.weight hold NaN"),
    (lambda p: (p / OPTIMIZER_FILE).write_bytes(b"nothing"), OPTIMIZER_FILE),
    (lambda p: (p / OPTIMIZER_FILE).unlink(), OPTIMIZER_FILE),
    (lambda p: (p / "model.safetensors").write_bytes(b"\x00" * 40), "model.safetensors"),
    (lambda p: (p / "config.json").write_text("{"), "config.json"),
])
def test_damage_is_named_with_the_file(state, tmp_path, damage, says):
    damage(without_checksums(save_checkpoint(tmp_path, state)))
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(tmp_path)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_weights_of_a_checkpoint_are_compared_with_their_checksums_when_they_are_loaded_alone(
        state, tmp_path, name):
    folder = save_checkpoint(tmp_path, state)
    file = folder / name
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    (folder / OPTIMIZER_FILE).unlink()      # no part of the model
    assert weights.load(folder)[0] == state.config
    file.write_bytes(content)
    for path in (folder, folder / "model.safetensors"):
        for load in (weights.load, GPT2.load):
            with pytest.raises(CheckpointError, match=f"{name}: does not match its crc32"):
                load(path)
    without_checksums(folder)
    if name == "model.safetensors":
        weights.load(folder)


def test_settings_of_another_version_are_an_error_not_a_crash(state, tmp_path):
    path = without_checksums(save_checkpoint(tmp_path, state))
    record = json.loads((path / RUN_FILE).read_text())
    record["run"]["train"]["tempo"] = 3
    (path / RUN_FILE).write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match="tempo"):
        load_checkpoint(tmp_path)


def test_every_moment_that_does_not_fit_is_named_at_once(state, tmp_path):
    from safetensors.numpy import load_file, save_file

    path = without_checksums(save_checkpoint(tmp_path, state)) / OPTIMIZER_FILE
    moments = load_file(path)
    del moments["m.wte.weight"]
    moments["v.ln_f.bias"] = moments["v.ln_f.bias"].astype(np.float64)
    moments["m.ln_f.bias"] = moments["m.ln_f.bias"][:-1]
    save_file(moments, path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(tmp_path)
    assert "m.wte.weight is missing" in str(caught.value)
    assert "v.ln_f.bias is F64 (16,), the parameter F32 (16,)" in str(caught.value)
    assert "m.ln_f.bias is F32 (15,), the parameter F32 (16,)" in str(caught.value)
    assert str(caught.value).count(";") == 2


def test_a_run_opens_with_its_own_tokenizer(state, tmp_path):
    save_checkpoint(tmp_path, state)
    model, tokenizer = open_model(tmp_path)
    assert tokenizer == state.tokenizer and same(model.params, state.params)


@pytest.mark.filterwarnings("ignore:.* brings no tokenizer")
def test_weights_without_a_tokenizer_take_gpt2s_if_it_fits(state, tmp_path):
    weights.save(tmp_path / "small", state.config, state.params)
    with pytest.raises(CheckpointError, match="brings no tokenizer"):
        open_model(tmp_path / "small")
    wide = state.config.replace(vocab_size=50257, n_embd=2, n_head=1, n_layer=1)
    from npgpt.params import init_params

    weights.save(tmp_path / "wide", wide, init_params(wide))
    with pytest.warns(UserWarning, match="wide brings no tokenizer: GPT-2's own is used"):
        model, tokenizer = open_model(tmp_path / "wide")
    assert tokenizer.vocab_size == model.config.vocab_size == 50257


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no such file or folder"):
        open_model(tmp_path / "nowhere")
