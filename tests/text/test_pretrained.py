"""A folder's own tokenizer gives the ids of transformers'; make_tokenizers.py made the files."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.text import BPETokenizer, CharTokenizer, Tokenizer, tokenizer_from_dict
from npgpt.text.pretrained import read_tokenizer, tokenizer_files

FOLDER = Path(__file__).parent.parent / "golden" / "tokenizers"
GOLDEN = json.loads(gzip.decompress((FOLDER / "strings.json.gz").read_bytes()))
OWN = BPETokenizer()


def tokenizer_of(name: str) -> Tokenizer:
    return OWN if name == "own_gpt2" else read_tokenizer(FOLDER / name)


@pytest.mark.parametrize("name", GOLDEN["tokenizers"])
def test_thousands_of_strings_of_many_scripts_have_the_ids_of_transformers(name: str) -> None:
    tokenizer, expected = tokenizer_of(name), GOLDEN["tokenizers"][name]
    assert len(GOLDEN["strings"]) == 2400 and tokenizer.eot_id == expected["end"]
    for text, plain, special in zip(GOLDEN["strings"], expected["plain"], expected["special"]):
        assert tokenizer.encode(text).tolist() == plain, text
        assert tokenizer.encode(text, special=True).tolist() == special, text
        assert tokenizer.decode(plain) == text == tokenizer.decode(special)


@pytest.mark.parametrize("name", ["json", "two_files"])
def test_a_record_and_the_files_that_are_written_give_the_same_tokenizer_back(
    tmp_path: Path, name: str
) -> None:
    tokenizer = tokenizer_of(name)
    assert tokenizer_from_dict(json.loads(json.dumps(tokenizer.to_dict()))) == tokenizer
    for file, text in tokenizer_files(tokenizer).items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert read_tokenizer(tmp_path) == tokenizer != OWN


def test_gpt2s_own_files_are_known_as_gpt2s_and_a_char_tokenizer_as_itself(tmp_path: Path) -> None:
    for tokenizer in (OWN, CharTokenizer("ba\n é\U0001f600")):
        for file, text in tokenizer_files(tokenizer).items():
            (tmp_path / file).write_text(text, encoding="utf-8")
        again = read_tokenizer(tmp_path)
        assert again == tokenizer and again.to_dict() == tokenizer.to_dict()


def test_ids_that_only_the_model_has_show_nothing() -> None:
    small = read_tokenizer(FOLDER / "json")
    padded = read_tokenizer(FOLDER / "json", 1010)
    assert small.vocab_size < padded.vocab_size == 1010
    ids = small.encode("the fox")
    assert padded.decode([1009, *ids, 1008]) == "the fox"
    assert padded.token_bytes[1009] == 0 == padded.token_bytes[padded.eot_id]
    assert tokenizer_from_dict(padded.to_dict()) == padded != small
    assert BPETokenizer(vocab_size=50304).decode([50300, 464]) == "The"
    with pytest.raises(ValueError, match=r"tokenizer.json: it has 904 ids, the model 900"):
        read_tokenizer(FOLDER / "json", 900)
    assert read_tokenizer(FOLDER) is None


@given(st.text(st.sampled_from("ab <mask token>Wenceslao\n")),
       st.text(st.sampled_from(" token>\n")))
def test_a_safe_cut_leaves_added_tokens_whole(text: str, rest: str) -> None:
    tokenizer = tokenizer_of("json")
    cut = tokenizer.safe_cut(text)
    halves = [tokenizer.encode(part, special=True) for part in (text[:cut], text[cut:] + rest)]
    whole = tokenizer.encode(text + rest, special=True)
    assert [*halves[0], *halves[1]] == whole.tolist()


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
