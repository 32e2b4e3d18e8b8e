"""Models by name, from a cache as huggingface_hub fills it, and from a library that stands in."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from npgpt import GPT2
from npgpt.verify import verify
from npgpt.weights import CheckpointError, load, save
from npgpt.weights.hub import FILES, TOKENIZER_FILES, found, own_folder, pull
from npgpt.weights.reading import file_at

from .conftest import SMALL, assert_equal, filled


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HUGGINGFACE_HUB_CACHE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home" / "hub"


class Library:
    """huggingface_hub, whose server is a folder of repositories."""

    def __init__(self, server: Path) -> None:
        self.server = server
        self.asked: list[str] = []
        self.fails: Exception | None = None

    def hf_hub_url(self, name: str, file: str, revision: str | None) -> str:
        return f"{name}/{file}"

    def get_hf_file_metadata(self, url: str) -> None:
        if self.fails is not None:
            raise self.fails

    def hf_hub_download(self, name: str, file: str, **given: Any) -> str:
        self.asked.append(f"{name}/{file}")
        if not (self.server / name / file).is_file():
            raise RuntimeError("404 Client Error.\nRepository Not Found")
        return str(self.server / name / file)

    def snapshot_download(
        self, name: str, revision: str | None, allow_patterns: list[str], local_dir: Path | None
    ) -> str:
        assert allow_patterns in (list(FILES), list(TOKENIZER_FILES))
        assert not any("bin" in each for each in allow_patterns)
        self.asked.append(name)
        target = local_dir or Path(found_place(name))
        target.mkdir(parents=True, exist_ok=True)
        for pattern in allow_patterns:
            for file in (self.server / name).glob(pattern):
                shutil.copyfile(file, target / file.name)
        return str(target)


def found_place(name: str) -> str:
    import os

    return f"{os.environ['HF_HOME']}/hub/models--{name.replace('/', '--')}/snapshots/abc"


@pytest.fixture
def library(tmp_path: Path, params: Any, monkeypatch: pytest.MonkeyPatch) -> Library:
    save(tmp_path / "server" / "org" / "name", SMALL, params)
    (tmp_path / "server" / "org" / "name" / "tokenizer.json").write_text("{}")
    library = Library(tmp_path / "server")
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    return library


def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)


@pytest.mark.parametrize("name, repository", [
    ("distilgpt2", "distilbert--distilgpt2"), ("distilgpt2", "distilgpt2"),
    ("org/na.me-2", "org--na.me-2"), ("gpt2-xl", "openai-community--gpt2-xl"),
])
def test_a_model_in_transformers_cache_is_loaded_by_its_name_without_the_library(
    caches: Path, params: Any, monkeypatch: pytest.MonkeyPatch, name: str, repository: str
) -> None:
    without_library(monkeypatch)
    save(caches / f"models--{repository}" / "snapshots" / "0f", SMALL, params)
    assert_equal(GPT2.load(name).params, params)


def test_the_revision_that_transformers_takes_comes_first(caches: Path, params: Any) -> None:
    model = caches / "models--org--name"
    save(model / "snapshots" / "aa", SMALL, filled(SMALL, 1))
    save(model / "snapshots" / "bb", SMALL, params)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("bb")
    assert_equal(load("org/name")[1], params)
    (model / "refs" / "main").write_text("gone")
    assert_equal(load("org/name")[1], filled(SMALL, 1))


def test_what_is_not_there_is_downloaded_once(library: Library, params: Any) -> None:
    assert_equal(load("org/name")[1], params)
    once = ["org/name/config.json", "org/name"]
    assert library.asked == once
    assert pull("org/name") == found("org/name")
    assert pull("org/name", Path("mine")) == Path("mine")
    assert_equal(load("mine")[1], params)
    assert Path("mine/tokenizer.json").read_text() == "{}" and library.asked == once


@pytest.mark.parametrize("lacking", ["tokenizer.json", "model-00002-of-00002.safetensors"])
def test_what_a_cached_model_lacks_is_downloaded_or_named(
    library: Library, params: Any, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    server = library.server / "org" / "name"
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    names = [f"transformer.{name}" for name in params]
    for shard, part in zip(shards, (names[:3], names[3:])):
        save_file({name: params[name.removeprefix("transformer.")] for name in part},
                  server / shard)
    (server / "model.safetensors").unlink()
    (server / "model.safetensors.index.json").write_text(json.dumps(
        {"weight_map": {name: shards[i > 2] for i, name in enumerate(names)}}))
    place = pull("org/name")
    (place / lacking).unlink()
    without_library(monkeypatch)
    said = f"lacks.* place {lacking} of huggingface.co/org/name in {place} by hand"
    if lacking == "tokenizer.json":
        with pytest.warns(UserWarning, match=said):
            assert pull("org/name") == place
    else:
        with pytest.raises(ImportError, match=said):
            pull("org/name")
        with pytest.raises(CheckpointError, match=said):
            load("org/name")
        assert found("org/name") is None
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    assert pull("org/name") == place and (place / lacking).is_file()
    assert_equal(load("org/name")[1], params)


def test_no_folder_hides_what_was_pulled_and_a_near_one_is_named(
    library: Library, params: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull("org/name")
    for folder in ("org/other", "my-gpt2"):
        Path(folder).mkdir(parents=True)
    without_library(monkeypatch)
    assert_equal(load("org/name")[1], params)
    with pytest.raises(CheckpointError, match=r"machine \(did you mean 'my-gpt2'\?\); downloading"):
        load("my-gpt")
    with pytest.raises(CheckpointError, match="no such file or folder; for the model of that name "
                                              "run: npgpt pull org/what"):
        load("org/what")


def test_a_mistyped_name_is_answered_with_that_of_a_model_that_is_here_or_published(
    library: Library, params: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull("org/name")
    for placed in ("short", "by/hand"):
        save(own_folder(placed), SMALL, params)
    without_library(monkeypatch)
    for given, meant in {"org/nme": "org/name", "shrt": "short", "by/hands": "by/hand",
                         "gpt-2": "gpt2", "distilgpt": "distilgpt2"}.items():
        with pytest.raises(CheckpointError, match=f"machine .did you mean '{meant}'"):
            load(given)
    with pytest.raises(CheckpointError, match="gpt2-xl is not .* on this machine; "):
        load("gpt2-xl")


def test_the_older_name_of_the_cache_is_honoured(
    tmp_path: Path, params: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUGGINGFACE_HUB_CACHE", str(tmp_path / "old"))
    save(tmp_path / "old" / "models--org--name" / "snapshots" / "0f", SMALL, params)
    assert_equal(load("org/name")[1], params)


def test_another_kind_of_model_is_rejected_before_its_weights_are_downloaded(
    library: Library,
) -> None:
    (library.server / "org" / "llama").mkdir()
    (library.server / "org" / "llama" / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(CheckpointError, match="model_type: expected 'gpt2', got 'llama'"):
        pull("org/llama")
    assert found("org/llama") is None


def test_a_model_with_a_pickle_alone_is_not_opened(library: Library) -> None:
    (library.server / "org" / "name" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="came without model.safetensors; .* a pickle"):
        pull("org/name")


def test_without_the_library_or_the_network_one_line_says_what_to_place_where(
    library: Library, params: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand = ("place model.safetensors, config.json and tokenizer.json of "
               "huggingface.co/org/other in ")
    with pytest.raises(OSError, match="Repository Not Found") as failed:
        pull("org/other")
    without_library(monkeypatch)
    with pytest.raises(ImportError, match=r"python -m pip install 'npgpt\[hub\]'; or ") as lacking:
        pull("org/other")
    with pytest.raises(CheckpointError, match="org/other is not a file, a folder or") as loading:
        GPT2.load("org/other")
    for error in (failed, lacking, loading):
        assert f"{by_hand}{own_folder('org/other')} by hand" in str(error.value)
        assert "\n" not in str(error.value)
    save(own_folder("org/other"), SMALL, params)
    assert_equal(GPT2.load("org/other").params, params)


class ConnectError(Exception):
    pass


class OfflineModeIsEnabled(Exception):
    pass


@pytest.mark.parametrize("error, reason", [
    (ConnectError(), "no connection to huggingface.co"),
    (OfflineModeIsEnabled("Cannot reach it.\nTo disable"), "HF_HUB_OFFLINE forbids the network"),
    (OSError("Client error '404 Not Found' for url 'x'\nFor more information check: y"),
     "Client error '404 Not Found' for url 'x'"),
    (TimeoutError(), "TimeoutError"),
])
def test_without_a_network_it_is_asked_once_and_no_download_is_tried(
    library: Library, error: Exception, reason: str
) -> None:
    library.fails = error
    with pytest.raises(OSError, match=f"org/other cannot be downloaded .{reason}.; place "):
        pull("org/other")
    assert library.asked == []


@pytest.mark.parametrize("name", ["../etc", "a/b/c", "", "a b", "-x", "/gpt2", "org/../x"])
def test_what_is_no_name_is_never_asked_for(library: Library, name: str) -> None:
    with pytest.raises(ValueError, match="is not a model's name"):
        pull(name)
    assert found(name) is None and library.asked == []


def test_a_mistyped_path_is_not_taken_for_a_name(library: Library) -> None:
    Path("runs").mkdir()
    for path in ("runs/storie", "model.safetensors", "./org/name", "a/b/c"):
        with pytest.raises(CheckpointError, match="no such file or folder"):
            load(path if path.startswith(".") else Path(path))
    assert library.asked == []


def test_a_published_file_is_compared_with_its_sha256(library: Library, params: Any) -> None:
    save(library.server / "openai-community" / "gpt2", SMALL, params)
    with pytest.raises(CheckpointError, match="is not gpt2: expected sha256 248dfc39"):
        pull("gpt2")


def test_a_name_is_only_looked_up_where_nothing_is_to_be_downloaded(library: Library) -> None:
    with pytest.raises(CheckpointError, match="to download it, run: npgpt pull org/name"):
        verify("org/name")
    assert library.asked == []
    folder = pull("org/name")
    assert verify("org/name").files[0].name == "model.safetensors"
    assert file_at("org/name", download=False) == folder / "model.safetensors"
