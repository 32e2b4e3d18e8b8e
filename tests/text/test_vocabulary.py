"""What a byte-level BPE vocabulary is, and what is none that tiktoken merges alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from npgpt.text.pretrained import read_tokenizer
from npgpt.text.vocabulary import BYTES, Added, Vocabulary, gpt2, unwritten, written

from .test_pretrained import FOLDER


def test_every_byte_is_written_as_one_sign_that_is_read_back() -> None:
    assert sorted(BYTES) == [bytes([byte]) for byte in range(256)]
    signs = [written(byte) for byte in BYTES]
    assert len(set(signs)) == 256 and all(len(sign) == 1 for sign in signs)
    assert [unwritten(sign) for sign in signs] == BYTES
    assert written(b" the") == "\u0120the" and unwritten("\u3000") == "\u3000".encode()


def test_gpt2s_own_vocabulary_is_reached_merge_by_merge() -> None:
    own = gpt2()
    again = Vocabulary(own.merges, own.ids, own.added, own.end)     # checked, as any other
    assert again.ranks == own.ranks and own.end_id == 50256 and own.size == 50257


def test_ids_beyond_any_model_are_rejected() -> None:
    with pytest.raises(ValueError, match="expected ids from 0 to 16,777,215, got 100,000,000"):
        Vocabulary((), {b"a": 10**8}, (Added("x", 1),))


def broken(tmp_path: Path, change: Any) -> Path:
    shutil.copytree(FOLDER / "json", tmp_path / "t")
    content = json.loads((tmp_path / "t" / "tokenizer.json").read_text(encoding="utf-8"))
    change(content)
    (tmp_path / "t" / "tokenizer.json").write_text(json.dumps(content))
    return tmp_path / "t"


def unlearned_order(content: dict) -> None:
    content["model"]["merges"].reverse()


def crossed(content: dict) -> None:
    # "h" and "e" merge long before "the" could be made of "th" and "e" a second way
    vocab, merges = content["model"]["vocab"], content["model"]["merges"]
    vocab |= {"qz": 990 + 20, "zj": 990 + 21, "qzj": 990 + 22}
    merges += [["z", "j"], ["q", "z"], ["qz", "j"]]


@pytest.mark.parametrize("change, message", [
    (lambda c: c["model"].update(type="Unigram"), "expected byte-level BPE, got Unigram"),
    (lambda c: c.update(normalizer={"type": "NFC"}), "it has normalizer={'type': 'NFC'}, which"),
    (lambda c: c.update(pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer ByteLevel, got W"),
    (lambda c: c["pre_tokenizer"].update(add_prefix_space=True), "it has add_prefix_space=True"),
    (lambda c: c["model"].update(dropout=0.1), "it has dropout=0.1"),
    (lambda c: c["added_tokens"][1].update(lstrip=True), "'Wenceslao' has lstrip"),
    (lambda c: c["model"]["vocab"].update(a=-1), "the id of 'a' is not an integer of at least 0"),
    (lambda c: c["model"]["merges"].append("a b c"), "expected a merge of two tokens, got 'a b c'"),
    (unlearned_order, "needs a token that the vocabulary lacks"),
    (crossed, "the token 'qzj' is never reached: 'zj' merges before; expected merges in the order"),
    (lambda c: c.pop("model"), "expected byte-level BPE, got None"),
])
def test_a_tokenizer_of_another_kind_is_rejected_by_what_differs(
    tmp_path: Path, change: Any, message: str
) -> None:
    folder = broken(tmp_path, change)
    with pytest.raises(ValueError) as caught:
        read_tokenizer(folder)
    assert message in str(caught.value) and str(caught.value).startswith(str(folder))
    assert "\n" not in str(caught.value)
