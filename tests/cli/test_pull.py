"""npgpt pull: what it prints and how it ends."""

import sys

from npgpt.weights import save
from tests.weights.conftest import SMALL, filled


def test_it_prints_the_folder_of_what_lies_in_the_cache(npgpt, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    place = tmp_path / "home" / "hub" / "models--org--name" / "snapshots" / "0f"
    save(place, SMALL, filled(SMALL))
    (place / "tokenizer.json").touch()
    assert npgpt("pull", "org/name") == (0, f"{place}\n", "")


def test_mistakes_are_one_line_with_their_exit_codes(npgpt, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    code, out, err = npgpt("pull", "distilgpt2")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "npgpt[hub]" in err and "huggingface.co/distilbert/distilgpt2" in err
    code, _, err = npgpt("pull", "../x")
    assert (code, err) == (2, "npgpt: '../x' is not a model's name; expected one such as gpt2 or "
                              "org/name\n")
