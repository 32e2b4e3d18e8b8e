from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from npgpt.weights import CheckpointError, load, save, save_llmc
from npgpt.weights.configs import write_config
from npgpt.weights.hub import found, hf_home, own_folder

from .conftest import SMALL, assert_equal, filled

pytestmark = pytest.mark.smoke


def test_one_file_of_another_name_in_a_folder_is_found(tmp_path: Path, params) -> None:
    save(tmp_path / "my-best.safetensors", SMALL, params)
    assert_equal(load(tmp_path)[1], params)
    assert_equal(load(str(tmp_path / "my-best.safetensors"))[1], params)


def test_several_models_in_a_folder_are_a_question_to_the_caller(tmp_path: Path, params) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"{name}.safetensors", SMALL, params)
    with pytest.raises(CheckpointError, match="a.safetensors, b.safetensors.; name one"):
        load(tmp_path)
    save(tmp_path, SMALL, filled(SMALL, 1))
    assert_equal(load(tmp_path)[1], filled(SMALL, 1))


def test_what_cannot_be_loaded_says_what_it_is_and_what_could(tmp_path: Path, params) -> None:
    with pytest.raises(CheckpointError, match="no such file or folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no weights .it is empty.; npgpt reads model"):
        load(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(CheckpointError, match="contains no weights .notes.txt."):
        load(tmp_path)
    with pytest.raises(CheckpointError, match="has an unknown format"):
        load(tmp_path / "notes.txt")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(CheckpointError, match="has an unknown format"):
        load(tmp_path / "empty")


@pytest.mark.parametrize("name", ["model.safetensors", "model.safetensors.index.json"])
def test_a_folder_in_place_of_the_weights_is_rejected(tmp_path: Path, params, name: str) -> None:
    write_config(tmp_path / "config.json", SMALL)
    (tmp_path / name).mkdir()
    with pytest.raises(CheckpointError, match=f"{name} is a folder; expected a regular file"):
        load(tmp_path)
    (tmp_path / name).rename(tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="no weights .config.json, other.safetensors"):
        load(tmp_path)
    save_llmc(tmp_path / "m.bin", SMALL, params)
    assert_equal(load(tmp_path)[1], params)


@pytest.mark.parametrize("content", [b"PK\3\4rest", pickle.dumps({"wte": 1}, protocol=2)])
def test_a_pickle_is_never_opened(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(CheckpointError, match="is a PyTorch pickle, which runs code"):
        load(tmp_path)


def test_a_published_name_is_found_in_the_cache_and_a_folder_of_that_name_first(
    tmp_path: Path, params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="gpt2 is not a file, a folder or a pulled model"):
        load("gpt2")
    hub = tmp_path / "home" / "hub" / "models--openai-community--gpt2" / "snapshots" / "607a"
    save(hub, SMALL, params)
    assert_equal(load("gpt2")[1], params)
    save(tmp_path / "home" / "npgpt" / "gpt2", SMALL, filled(SMALL, 1))
    assert_equal(load("gpt2")[1], filled(SMALL, 1))
    save_llmc(tmp_path / "gpt2" / "m.bin", SMALL, filled(SMALL, 2))
    assert_equal(load("gpt2")[1], filled(SMALL, 2))


def test_a_folder_without_weights_hides_no_published_model(
    tmp_path: Path, params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "gpt2" / "124M", SMALL, filled(SMALL, 1))   # as the book's downloader makes it
    with pytest.raises(CheckpointError, match="gpt2: contains no weights .124M.*npgpt pull gpt2"):
        load("gpt2")
    save(tmp_path / "home" / "npgpt" / "gpt2", SMALL, params)
    assert_equal(load("gpt2")[1], params)
    with pytest.raises(CheckpointError, match="contains no weights"):
        load(tmp_path / "gpt2")
    save(tmp_path / "gpt2" / "other.safetensors", SMALL, params)
    save(tmp_path / "gpt2" / "another.safetensors", SMALL, params)
    with pytest.raises(CheckpointError, match="contains several models"):
        load("gpt2")


def test_the_cache_is_where_huggingfaces_own_tools_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "XDG_CACHE_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hf_home() == tmp_path / ".cache" / "huggingface"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert hf_home() == tmp_path / "xdg" / "huggingface"
    weights = tmp_path / "hub" / "models--gpt2" / "snapshots" / "1" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"")
    assert found("gpt2") is None
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert found("gpt2") == weights.parent
    own = own_folder("gpt2") / "model.safetensors"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"")
    assert found("gpt2") == own.parent == tmp_path / "xdg" / "huggingface" / "npgpt" / "gpt2"
