"""A folder's own tokenizer gives the ids of transformers'; make_tokenizers.py made the files."""

from __future__ import annotations

import functools
import gzip
import json
import shutil
import warnings
from pathlib import Path
from typing import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.text import BPETokenizer, CharTokenizer, Tokenizer, tokenizer_from_dict
from npgpt.text.pretrained import read_tokenizer, tokenizer_files

FOLDER = Path(__file__).parent.parent / "golden" / "tokenizers"
GOLDEN = json.loads(gzip.decompress((FOLDER / "strings.json.gz").read_bytes()))
OWN = BPETokenizer()


@functools.cache
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


def test_openais_names_of_the_two_files_are_read_too(tmp_path: Path) -> None:
    for theirs, ours in {"encoder.json": "vocab.json", "vocab.bpe": "merges.txt"}.items():
        (tmp_path / theirs).write_bytes((FOLDER / "two_files" / ours).read_bytes())
    ids = tokenizer_of("two_files").encode("Wenceslao, the fox").tolist()
    assert read_tokenizer(tmp_path).encode("Wenceslao, the fox").tolist() == ids


@pytest.mark.parametrize("name", ["json", "two_files"])
def test_a_record_and_the_files_that_are_written_give_the_same_tokenizer_back(
    tmp_path: Path, name: str
) -> None:
    tokenizer = tokenizer_of(name)
    assert tokenizer_from_dict(json.loads(json.dumps(tokenizer.to_dict()))) == tokenizer
    for file, text in tokenizer_files(tokenizer).items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert read_tokenizer(tmp_path) == tokenizer != OWN


@pytest.mark.parametrize("name", ["json", "two_files"])
def test_what_a_folder_calls_its_tokens_is_written_and_recorded_again(
    tmp_path: Path, name: str
) -> None:
    shutil.copytree(FOLDER / name, tmp_path / "m")
    end = tokenizer_of(name).vocabulary.end
    others = [token.text for token in tokenizer_of(name).vocabulary.added if token.text != end]
    roles = dict(zip(("bos_token", "mask_token"), others), pad_token=end)
    config = {"eos_token": end, "unk_token": {"content": end}, "sep_token": "not a token", **roles}
    (tmp_path / "m" / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = read_tokenizer(tmp_path / "m")
    assert tokenizer.roles == roles and len(roles) > 1
    assert tokenizer_from_dict(json.loads(json.dumps(tokenizer.to_dict()))).roles == roles
    # they change no id: what was encoded without them is still good
    assert tokenizer.fingerprint == tokenizer_of(name).fingerprint
    assert tokenizer != tokenizer_of(name)
    written = json.loads(tokenizer_files(tokenizer)["tokenizer_config.json"])
    assert written.items() >= {**roles, "eos_token": end, "unk_token": end}.items()
    assert "sep_token" not in written


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


@pytest.mark.parametrize("end, config", [
    ("<|endoftext|>", {}), ("<|endoftext|>", {"eos_token_id": 5}), ("</s>", {"eos_token_id": 3})])
def test_two_files_alone_have_the_end_that_transformers_or_the_config_gives_them(
    tmp_path: Path, end: str, config: dict[str, int]
) -> None:
    texts = ["<pad>", *(chr(i) for i in range(97, 99)), end, *(chr(i) for i in range(99, 120))]
    (tmp_path / "vocab.json").write_text(json.dumps({text: i for i, text in enumerate(texts)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = read_tokenizer(tmp_path)
    assert found.eot_id == 3
    assert found.encode(f"a{end}b", special=True).tolist() == [1, 3, 2]
    for file, text in tokenizer_files(found).items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert read_tokenizer(tmp_path) == found


@pytest.mark.parametrize("file, kind", [
    ("vocab.txt", r"vocab.txt \(WordPiece\)"), ("spiece.model", r"spiece.model \(SentencePiece\)"),
    ("vocab.json", "vocab.json without merges.txt"),
    ("encoder.json", "encoder.json without vocab.bpe")])
def test_a_tokenizer_of_another_kind_is_rejected_by_the_name_of_its_file(
    tmp_path: Path, file: str, kind: str
) -> None:
    (tmp_path / file).write_text("{}")
    with pytest.raises(ValueError, match=f"its tokenizer is {kind}"):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize("post, config, said", [
    ({"type": "TemplateProcessing", "single": [
        {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}]}, {}, "TemplateProcessing"),
    ({"type": "RobertaProcessing", "sep": ["</s>", 2]}, {}, "RobertaProcessing"),
    (None, {"add_bos_token": True}, "add_bos_token"),
    (None, {"add_bos_token": False}, ""), ({"type": "ByteLevel"}, {}, ""),
    ({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}]}, {}, ""),
])
def test_tokens_that_transformers_adds_to_each_text_are_reported(
    tmp_path: Path, post: object, config: dict[str, object], said: str
) -> None:
    content = json.loads((FOLDER / "json" / "tokenizer.json").read_text(encoding="utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps({**content, "post_processor": post}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        read_tokenizer(tmp_path)
    assert [said in str(one.message) for one in given] == [True] * bool(said)


@pytest.mark.parametrize("change, message", [
    (lambda text: text.replace("\n", "\r\n"), ""),
    (lambda text: "# mine\n" + text, r"vocab.json with merges.txt: the merge of '#' and 'mine'"),
    (lambda text: "# a comment\n" + text, r"expected a merge of two tokens, got '# a comment'"),
])
def test_merges_with_windows_line_ends_are_read_and_a_comment_is_rejected(
    tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    for file in (FOLDER / "two_files").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    merges = (tmp_path / "merges.txt").read_text(encoding="utf-8")
    (tmp_path / "merges.txt").write_bytes(change(merges).encode("utf-8"))
    if message:
        with pytest.raises(ValueError, match=message):
            read_tokenizer(tmp_path)
    else:
        assert read_tokenizer(tmp_path) == tokenizer_of("two_files")
