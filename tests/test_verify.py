"""verify: all that is sound is called sound, and every damage is named with its file."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from npgpt import weights
from npgpt.params import init_params
from npgpt.text import load_corpus
from npgpt.text.cache import MAGIC, VERSION
from npgpt.training.checkpoint import checkpoints
from npgpt.training.loop import Reporter, new_state, train
from npgpt.training.settings import resolve
from npgpt.verify import verify
from npgpt.weights import CheckpointError
from npgpt.weights.checksums import CHECKSUMS, sha256, write_checksums
from npgpt.weights.hub import SHA256

from .stories import write_story
from .training.conftest import SMALL, without_checksums

CHECKPOINT_FILES = ["run.json", "config.json", "model.safetensors", "optimizer.safetensors",
                    CHECKSUMS]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    story = write_story(folder)
    settings = resolve(flags={**SMALL, "corpus": str(story), "keep_checkpoints": 3})
    corpus = load_corpus(str(story), "char", 0.1, cache_dir=folder / "cache")
    train(folder / "run", new_state(settings, corpus), corpus, Reporter())
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained / "run", tmp_path / "run")


def damaged(path):
    """Name and what is wrong, of every damaged file."""
    return {file.name: file.what for file in verify(path).files if file.damaged}


def flip(path, where=0.5):
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 1
    path.write_bytes(content)


def test_a_run_is_examined_file_by_file(run):
    report = verify(run)
    assert report.kind == "run" and report.damaged == 0
    assert [file.name for file in report.files] == [
        "config.toml", "log.jsonl", "result.json",
        *(f"step-000000{step}/{name}" for step in ("04", "08", "12") for name in CHECKPOINT_FILES)]
    assert "13 records, steps 0 to 12" in [file.what for file in report.files]
    assert report.sound == checkpoints(run)[-1]


def test_a_run_of_an_earlier_version_is_sound_too(run):
    for checkpoint in checkpoints(run):
        without_checksums(checkpoint)
    report = verify(run)
    assert report.damaged == 0 and not any("crc32" in file.what for file in report.files)


def test_steps_that_the_log_lacks_are_counted(run):
    lines = (run / "log.jsonl").read_text().splitlines(keepends=True)
    (run / "log.jsonl").write_text("".join(lines[:3] + lines[5:]))
    assert "11 records, steps 0 to 12, 2 of them missing" in [f.what for f in verify(run).files]


def test_nothing_is_changed_by_looking(run):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    flip(checkpoints(run)[-1] / "model.safetensors")
    before[checkpoints(run)[-1] / "model.safetensors"] = (
        checkpoints(run)[-1] / "model.safetensors").read_bytes()
    verify(run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", CHECKPOINT_FILES)
def test_each_damaged_file_of_a_checkpoint_is_named_and_the_newest_sound_one(run, name):
    first, second, third = checkpoints(run)
    flip(third / name)
    flip(first / name, 0.9)
    assert set(damaged(run)) >= {f"step-00000004/{name}", f"step-00000012/{name}"}
    assert not any(file.startswith("step-00000008") for file in damaged(run))
    assert verify(run).sound == second
    assert set(damaged(third)) >= {name} and damaged(second) == {}
    (third / name).unlink()
    assert damaged(third)[name] == "is missing"


def test_the_folder_of_a_runs_checkpoints_stands_for_the_run(run, monkeypatch):
    flip(checkpoints(run)[-1] / "run.json")
    assert verify(run / "checkpoints") == verify(run)
    monkeypatch.chdir(run)
    assert verify("checkpoints").kind == "run"


def test_two_damaged_files_are_both_named_without_checksums_too(run):
    third = without_checksums(checkpoints(run)[-1])
    flip(third / "optimizer.safetensors", 0.01)
    flip(third / "config.json", 0)
    assert set(damaged(third)) == {"optimizer.safetensors", "config.json"}
    (third / "run.json").write_text("[" * 100_000)
    (third / "model.safetensors").unlink()
    assert set(damaged(third)) == {"optimizer.safetensors", "run.json", "model.safetensors"}


def test_contradicting_copies_are_named_where_there_is_no_checksum(run):
    third = without_checksums(checkpoints(run)[-1])
    record = json.loads((third / "run.json").read_text())
    record["step"], record["run"]["model"]["attn_pdrop"] = 5, 0.3
    (third / "run.json").write_text(json.dumps(record))
    says = ("step is 5 in run.json, 12 in the name of the folder; attn_pdrop is 0.1 in "
            "config.json, 0.3 in run.json, 0.1 in the header of model.safetensors")
    assert damaged(third) == {"copies": says}
    assert "step-00000012/copies" in damaged(run)


def test_numbers_that_are_nan_are_damage(run):
    from safetensors.numpy import load_file, save_file

    third = without_checksums(checkpoints(run)[-1])
    moments = load_file(third / "optimizer.safetensors")
    moments["v.ln_f.bias"][3] = np.nan
    moments["v.ln_f.weight"][3] = np.inf           # a large gradient's square
    save_file(moments, third / "optimizer.safetensors")
    assert damaged(third) == {"optimizer.safetensors": "v.ln_f.bias hold NaN"}


@pytest.mark.parametrize("change, says", [
    (lambda p: p.unlink(), "is missing"),
    (lambda p: p.write_text("[train"), "is not valid TOML"),
    (lambda p: p.write_text("[data]\n"), "n_layer = 12 (the checkpoint: "),
    (lambda p: p.write_text(p.read_text().replace("0.001", "0.002")), "learning_rate = 0.002"),
    (lambda p: p.write_text(p.read_text().replace("attn_pdrop = 0.1", "attn_pdrop = 0.2")),
     "attn_pdrop = 0.2 (the checkpoint: 0.1)"),
])
def test_a_damaged_or_edited_config_is_named(run, change, says):
    change(run / "config.toml")
    assert set(damaged(run)) == {"config.toml"} and says in damaged(run)["config.toml"]


def test_a_config_of_an_earlier_version_without_keys_that_came_later_is_sound(run):
    config = run / "config.toml"
    assert "lora_rank = 0\n" in config.read_text()
    config.write_text(config.read_text().replace("lora_rank = 0\n", ""))
    assert damaged(run) == {}


def test_a_run_that_is_to_become_longer_is_sound(run):
    config = run / "config.toml"
    config.write_text(config.read_text().replace("max_steps = 12", "max_steps = 20"))
    assert damaged(run) == {}


@pytest.mark.parametrize("change, says", [
    (lambda p: p.unlink(), "is missing"),
    (lambda p: p.write_text("x" + p.read_text()), "damaged lines: 1, the first is line 1"),
    (lambda p: p.write_text(p.read_text().replace('"step": 8', '"step" 8')), "is line 9"),
    (lambda p: p.write_text("".join(p.read_text().splitlines(True)[:9])), "ends at step 8"),
    (lambda p: p.write_text(""), "holds no record, the newest checkpoint is of step 12"),
])
def test_a_damaged_log_is_named(run, change, says):
    change(run / "log.jsonl")
    assert set(damaged(run)) == {"log.jsonl"} and says in damaged(run)["log.jsonl"]


def test_a_torn_last_line_is_no_damage(run):
    with (run / "log.jsonl").open("a") as file:
        file.write('{"step": 13, "lo')
    assert damaged(run) == {}


@pytest.mark.parametrize("content", ["{", "[]", '{"step": 11, "val_loss": 1.0}', "{}"])
def test_a_damaged_result_is_named(run, content):
    (run / "result.json").write_text(content)
    assert set(damaged(run)) == {"result.json"}


def test_a_run_before_its_first_checkpoint_is_a_run(run):
    shutil.rmtree(run / "checkpoints")
    (run / "result.json").unlink()
    report = verify(run)
    assert (report.kind, report.damaged, report.sound) == ("run", 0, None)


def test_a_token_file_is_checked_alone_and_with_its_folder(trained, tmp_path):
    cache = shutil.copytree(trained / "cache", tmp_path / "cache")
    file, = cache.glob("*.tokens")
    for place in (file, cache):
        assert verify(place).kind == "tokens" and damaged(place) == {}
    flip(file)
    for place in (file, cache):
        assert "do not match their checksum" in damaged(place)[file.name]
    file.write_bytes(b"")
    assert "not a token file" in damaged(file)[file.name]


def test_a_token_file_of_an_earlier_version_is_not_damaged(trained, tmp_path):
    file, = shutil.copytree(trained / "cache", tmp_path / "cache").glob("*.tokens")
    content = bytearray(file.read_bytes())
    for version, kind in ((VERSION - 1, False), (VERSION + 1, True), (0, True)):
        content[len(MAGIC)] = version
        file.write_bytes(content)
        (checked,) = verify(file).files
        assert checked.damaged == kind, version
        assert kind or checked.what == "of an earlier version; npgpt train builds it anew"


@pytest.mark.parametrize("name", CHECKPOINT_FILES)
def test_a_file_of_a_checkpoint_stands_for_all_of_it(run, name):
    newest = checkpoints(run)[-1]
    assert verify(newest / name) == verify(newest)
    assert (verify(newest / name).kind, damaged(newest / name)) == ("checkpoint", {})
    flip(newest / "model.safetensors")
    assert set(damaged(newest / name)) == {"model.safetensors"}


@pytest.fixture
def model(trained, tmp_path):
    config, params = weights.load(checkpoints(trained / "run")[-1] / "model.safetensors")
    weights.save(tmp_path / "model", config, params)
    return tmp_path / "model"


def test_weights_are_checked_in_every_form(model, tmp_path):
    weights.convert(model, tmp_path / "model.bin", to="llmc")
    for place in (model, model / "model.safetensors", tmp_path / "model.bin"):
        assert verify(place).kind == "weights" and damaged(place) == {}
    with (tmp_path / "model.bin").open("r+b") as file:
        file.truncate(5000)
    assert set(damaged(tmp_path / "model.bin")) == {"model.bin"}
    flip(model / "model.safetensors", 0)
    assert set(damaged(model)) == {"model.safetensors"}


def test_weights_with_nan_are_damaged(model):
    config, params = weights.load(model)
    params = {name: array.copy() for name, array in params.items()}
    params["h.0.ln_1.bias"][0] = params["h.1.ln_1.bias"][0] = np.nan
    weights.save(model, config, params)
    assert damaged(model) == {
        "model.safetensors": "h.{0-1}.ln_1.bias hold NaN or infinite numbers"}


def test_a_pulled_model_is_compared_with_the_sha256_that_was_recorded(model):
    file = model / "model.safetensors"
    write_checksums(model, {file.name: {"bytes": file.stat().st_size, "sha256": sha256(file)}})
    assert damaged(model) == {}
    flip(file, 0.9)
    assert damaged(model) == {file.name: "does not match its sha256"}


def test_a_published_model_is_found_by_its_name_and_compared_with_its_sha256(
        model, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="gpt2 is not a file, a folder or a pulled model"):
        verify("gpt2")
    shutil.copytree(model, tmp_path / "hub" / "npgpt" / "gpt2")
    assert damaged("gpt2") == {"model.safetensors": "is not gpt2 as published: another sha256"}
    monkeypatch.setitem(SHA256, "gpt2", sha256(model / "model.safetensors"))
    assert damaged("gpt2") == {}
    for given in ("gpt2", model, model / "model.safetensors"):
        assert "sha256 of gpt2 as published" in verify(given).files[0].what


@pytest.mark.parametrize("content", [None, b"", b"hello", b"PK\3\4rest"])
def test_what_is_nothing_that_npgpt_knows_is_an_error(tmp_path, content):
    path = tmp_path / "thing"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match="thing") as error:
        verify(path)
    assert ("it is no run, checkpoint or token file either" in str(error.value)) == path.exists()
    path.unlink(missing_ok=True)
    path.mkdir()
    with pytest.raises(CheckpointError, match="contains no weights"):
        verify(path)


def test_checkpoints_that_were_set_aside_are_examined_but_not_advised(run):
    newest = checkpoints(run)[-1]
    newest.rename(newest.with_name("aside-step-00000012"))
    (run / "result.json").unlink()
    report = verify(run)
    assert report.damaged == 0 and report.sound == checkpoints(run)[-1]
    flip(run / "checkpoints" / "aside-step-00000012" / "run.json")
    assert set(damaged(run)) == {"aside-step-00000012/run.json"}


def test_the_weights_of_a_fresh_model_of_a_published_shape_need_no_checksum(tmp_path):
    from npgpt import GPT2Config

    config = GPT2Config(vocab_size=11, n_positions=5, n_embd=8, n_layer=1, n_head=2)
    weights.save(tmp_path / "w.safetensors", config, init_params(config))
    assert damaged(Path(tmp_path / "w.safetensors")) == {}
