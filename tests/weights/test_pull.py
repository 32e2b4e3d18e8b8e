"""Downloads from a real server on this machine, which breaks off, redirects and lies on demand."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path
from typing import Iterator

import numpy as np
import pytest

from npgpt.config import GPT2Config
from npgpt.files import locked
from npgpt.weights import CheckpointError, load
from npgpt.weights import pull as pulling
from npgpt.weights.huggingface import read_config
from npgpt.weights.pull import REVISIONS, pull, weights_url

from .conftest import filled
from .hub import Hub, serving
from .raw import write_raw


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(tmp_path, monkeypatch) as server:
        yield server


def test_the_address_is_hugging_faces_unless_another_endpoint_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    url = f"https://huggingface.co/openai-community/gpt2-xl/resolve/{REVISIONS['gpt2-xl']}"
    assert weights_url("gpt2-xl") == f"{url}/model.safetensors"
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror/")
    assert weights_url("gpt2").startswith("http://mirror/openai-community/gpt2/resolve/")


@pytest.mark.parametrize("endpoint", ["nonsense", "ftp://mirror", "https://", "https:/mirror"])
def test_an_endpoint_that_is_not_a_web_address_is_answered_with_one(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(ValueError, match="expected a web address like https://huggingface"):
        pull("gpt2", tmp_path / "new" / "to")
    assert not (tmp_path / "new").exists()


def test_weights_arrive_whole_in_the_cache_with_a_config_and_are_not_fetched_twice(
    hub: Hub, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    pulled = pull("gpt2", report=lambda done, total: seen.append((done, total)))
    assert pulled.folder == tmp_path / "home" / "npgpt" / "gpt2" and pulled.fetched
    assert pulled.checked_against == "npgpt"
    assert (pulled.folder / "model.safetensors").read_bytes() == hub.body
    assert read_config(pulled.folder / "config.json") == GPT2Config.named("gpt2")
    assert {file.name for file in pulled.folder.iterdir()} == {
        "model.safetensors", "config.json", "checksums.json"}
    assert json.loads((pulled.folder / "checksums.json").read_text())["files"] == {
        "model.safetensors": {"bytes": len(hub.body), "sha256": pulled.sha256}}
    assert seen[-1] == (len(hub.body), len(hub.body)) and len(seen) >= 3
    requests = len(hub.asked)
    again = pull("gpt2")
    assert (again.folder, again.fetched, len(hub.asked)) == (pulled.folder, False, requests)


def test_a_size_whose_sum_is_not_known_is_checked_against_the_servers(
    hub: Hub, tmp_path: Path
) -> None:
    pulled = pull("gpt2-large", tmp_path / "large")
    assert pulled.checked_against == "the server" and pulled.sha256 == hub.announced
    hub.announced = ""
    pulled = pull("gpt2-medium", tmp_path / "medium")
    assert pulled.checked_against == ""
    assert pulled.sha256 == hashlib.sha256(hub.body).hexdigest()
    hub.announced = "0" * 64
    with pytest.raises(CheckpointError, match="expected sha256 000000"):
        pull("gpt2-medium", tmp_path / "other")


def test_a_connection_that_breaks_is_taken_up_where_it_broke(hub: Hub) -> None:
    hub.break_after = [1_500_000, 700_000]
    hub.busy = 1
    pulled = pull("gpt2", pauses=(0.0,))
    assert (pulled.folder / "model.safetensors").read_bytes() == hub.body
    blobs = [wanted for path, wanted in hub.asked if path == "/blob"]
    assert blobs == ["", "bytes=1500000-", "bytes=2200000-"]


def test_a_later_call_goes_on_where_an_earlier_one_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = [1_000_000]
    with pytest.raises(OSError, match="before 4 MiB.; 1 MiB are downloaded, the same") as caught:
        pull("gpt2", pauses=())
    assert str(caught.value).isprintable()
    assert not (tmp_path / "home" / "npgpt" / "gpt2" / "model.safetensors").exists()
    pulled = pull("gpt2", pauses=())
    assert (pulled.folder / "model.safetensors").read_bytes() == hub.body
    assert hub.asked[-1] == ("/blob", "bytes=1000000-")


def test_a_server_that_knows_no_ranges_sends_all_again(hub: Hub) -> None:
    hub.break_after, hub.ranges = [1_000_000], False
    pulled = pull("gpt2", pauses=(0.0,))
    assert (pulled.folder / "model.safetensors").read_bytes() == hub.body


@pytest.mark.parametrize("extra", [b"", b"more than there is"])
def test_a_file_that_was_whole_or_too_long_ends_well(
    hub: Hub, tmp_path: Path, extra: bytes
) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "model.safetensors.unfinished").write_bytes(hub.body + extra)
    pulled = pull("gpt2", tmp_path / "to")
    assert (pulled.folder / "model.safetensors").read_bytes() == hub.body


def test_wrong_bytes_are_thrown_away_and_the_next_call_starts_anew(
    hub: Hub, tmp_path: Path
) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "model.safetensors.unfinished").write_bytes(b"not the beginning of it")
    with pytest.raises(CheckpointError, match="expected sha256 .*, got .* starts again"):
        pull("gpt2", tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []
    assert pull("gpt2", tmp_path / "to").fetched


def test_a_page_instead_of_weights_is_rejected(hub: Hub, tmp_path: Path) -> None:
    hub.body, hub.announced = b"<html>please log in</html>", ""
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        pull("gpt2-medium", tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_the_weights_of_another_model_do_not_take_the_place_of_this_one(
    hub: Hub, tmp_path: Path
) -> None:
    other = filled(GPT2Config.named("gpt2-medium", n_layer=2))
    del other["ln_f.bias"]
    write_raw(tmp_path / "other", other)
    hub.body, hub.announced = (tmp_path / "other").read_bytes(), ""
    with pytest.raises(CheckpointError, match="unfinished: is not gpt2-medium") as caught:
        pull("gpt2-medium", tmp_path / "to")
    assert "missing: ln_f.bias; unknown: h.1." in str(caught.value)
    assert not (tmp_path / "to").exists()
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "model.safetensors").write_bytes(hub.body)
    with pytest.raises(CheckpointError, match="is not gpt2-medium; .*; delete it and pull again"):
        pull("gpt2-medium", tmp_path / "to")


def test_weights_with_masks_and_a_second_copy_of_the_table_are_the_same_model(
    hub: Hub, tmp_path: Path
) -> None:
    params = filled(GPT2Config.named("gpt2-large"))
    mask = np.ones((1, 1, 8, 8), "f4")
    write_raw(tmp_path / "other", {
        **params, "lm_head.weight": params["wte.weight"], "h.0.attn.bias": mask,
    })
    hub.body, hub.announced = (tmp_path / "other").read_bytes(), ""
    assert pull("gpt2-large", tmp_path / "to").fetched
    assert load(tmp_path / "to")[0] == GPT2Config.named("gpt2-large")


def test_a_pull_that_brought_nothing_leaves_nothing(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.busy = 99
    (tmp_path / "mine").mkdir()
    for place in (None, tmp_path / "deep" / "er" / "to", tmp_path / "mine"):
        with pytest.raises(OSError, match="503"):
            pull("gpt2", place, pauses=())
    assert not (tmp_path / "home").exists() and not (tmp_path / "deep").exists()
    assert list((tmp_path / "mine").iterdir()) == []


def test_damaged_weights_in_the_cache_are_noticed(hub: Hub) -> None:
    folder = pull("gpt2").folder
    (folder / "model.safetensors").write_bytes(hub.body[:-1] + b"\xff")
    with pytest.raises(CheckpointError, match="sha256 .*, got .*; delete it and pull again"):
        pull("gpt2")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'gpt2-medium'"):
        pull("gpt2-medum", tmp_path)


def test_without_a_server_one_line_says_what_to_place_where(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(tmp_path / "home" / "npgpt" / "gpt2" / "model.safetensors")
    hub.busy = 99
    with pytest.raises(OSError, match="503 .*set HF_ENDPOINT .* or place the file as") as caught:
        pull("gpt2", pauses=(0.0,))
    assert place in str(caught.value) and weights_url("gpt2") in str(caught.value)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))       # bound but not listening: connections are refused
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(OSError, match="refused.* or place the file as") as caught:
            pull("gpt2")
    assert place in str(caught.value) and str(caught.value).isprintable()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OSError, match="HF_HUB_OFFLINE is set; unset it, or place http") as caught:
        pull("gpt2")
    assert place in str(caught.value)


def test_a_name_that_the_server_does_not_have_is_not_asked_for_again(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{hub.server_port}/nothing?")
    monkeypatch.setattr(pulling, "weights_url", lambda name: f"http://127.0.0.1:{hub.server_port}/")
    with pytest.raises(OSError, match="404"):
        pull("gpt2", pauses=(5.0,))
    assert len(hub.asked) == 1


def test_two_pulls_of_the_same_folder_do_not_write_into_each_other(
    hub: Hub, tmp_path: Path
) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "model.safetensors.unfinished").write_bytes(hub.body[:10])
    with locked(tmp_path / "to"):
        with pytest.raises(ValueError, match="to is in use by another process"):
            pull("gpt2", tmp_path / "to")
        assert (tmp_path / "to" / "model.safetensors.unfinished").exists()
    assert pull("gpt2", tmp_path / "to").fetched
    assert {place.name for place in (tmp_path / "to").iterdir()} == {
        "model.safetensors", "config.json", "checksums.json"}


def test_weights_that_transformers_fetched_are_found(hub: Hub, tmp_path: Path) -> None:
    snapshots = tmp_path / "home" / "hub" / "models--openai-community--gpt2" / "snapshots"
    (snapshots / "607a").mkdir(parents=True)
    (snapshots / "607a" / "model.safetensors").write_bytes(hub.body)
    assert pull("gpt2").folder == snapshots / "607a"
    assert hub.asked == []
    (snapshots / "607a" / "model.safetensors").write_bytes(b"another revision")
    assert pull("gpt2").folder == tmp_path / "home" / "npgpt" / "gpt2"
