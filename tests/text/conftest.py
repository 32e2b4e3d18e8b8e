"""No test of this room reads or writes the user's own cache folder, or leaves this machine."""

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("NPGPT_CACHE", str(folder))
    # a proxy would answer in place of the servers that tests start on 127.0.0.1
    monkeypatch.setenv("no_proxy", "*")
    return folder
