"""npgpt pull: what it prints and how it ends, with a real server on this machine."""

import signal
import sys
import time

import pytest

from tests.weights.hub import serving


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with serving(tmp_path, monkeypatch) as server:
        yield server


def test_it_prints_the_folder_and_whose_sha256_it_equals(npgpt, hub, tmp_path):
    code, out, err = npgpt("pull", "gpt2")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        str(tmp_path / "home" / "npgpt" / "gpt2"), f"sha256 {hub.announced}, as npgpt knows"
    ]
    code, out, _ = npgpt("pull", "gpt2-large", "--to", "large")
    assert code == 0 and out.splitlines()[1].endswith("as the server announces")
    code, out, _ = npgpt("pull", "gpt2-large", "--to", "large")
    assert code == 0 and "already there" in out
    hub.announced = ""
    code, out, _ = npgpt("pull", "gpt2-medium")
    assert code == 0 and "neither npgpt nor the server knows one" in out


def test_mistakes_and_failures_are_one_line_with_their_exit_codes(npgpt, hub, monkeypatch):
    code, _, err = npgpt("pull", "gpt3")
    assert code == 2 and "gpt2-xl" in err and err.count("\n") == 1
    hub.body += b"x"
    code, _, err = npgpt("pull", "gpt2")
    assert code == 3 and "expected sha256" in err and err.count("\n") == 1
    monkeypatch.setenv("HF_ENDPOINT", "nonsense")
    code, _, err = npgpt("pull", "gpt2")
    assert code == 2 and "HF_ENDPOINT='nonsense': expected a web address like" in err
    assert err.count("\n") == 1
    monkeypatch.delenv("HF_ENDPOINT")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, _, err = npgpt("pull", "gpt2")
    assert code == 3 and "HF_HUB_OFFLINE is set; unset it, or place" in err
    assert err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is POSIX's")
def test_an_interrupted_download_continues_at_the_next_call(process, npgpt, hub, tmp_path):
    hub.hold_after = 2_000_000
    running = process("pull", "gpt2")
    unfinished = tmp_path / "home" / "npgpt" / "gpt2" / "model.safetensors.unfinished"
    while not unfinished.exists() or unfinished.stat().st_size <= 1_000_000:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err.splitlines()[-1]) == (130, "npgpt: interrupted")
    assert 1_000_000 < unfinished.stat().st_size <= 2_000_000
    hub.hold_after = None
    assert npgpt("pull", "gpt2")[0] == 0
