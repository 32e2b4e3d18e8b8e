from __future__ import annotations

from pathlib import Path

import pytest

from npgpt.weights.cache import cached, hf_home, own_folder


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
    assert cached("gpt2") is None
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert cached("gpt2") == weights.parent
    own = own_folder("gpt2") / "model.safetensors"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"")
    assert cached("gpt2") == own.parent == tmp_path / "xdg" / "huggingface" / "npgpt" / "gpt2"
