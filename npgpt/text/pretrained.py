"""The tokenizer that a folder of weights brings along, as transformers writes it; and the way out.

Read in this order, as transformers does: tokenizer.json; or else vocab.json with merges.txt and
added_tokens.json; or else the same two under OpenAI's names, encoder.json with vocab.bpe.
tokenizer_config.json and special_tokens_map.json say which token ends a text; where neither does,
it is <|endoftext|>, or else that of eos_token_id in the model's config.json.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Mapping

from ..documents import read_json, read_text
from ..suggest import shown
from .bpe import BPETokenizer
from .chars import CharTokenizer
from .tokenizer import Tokenizer
from .vocabulary import END_OF_TEXT, Added, Vocabulary

TOKENIZER, CONFIG = "tokenizer.json", "tokenizer_config.json"
VOCAB, MERGES, ADDED = "vocab.json", "merges.txt", "added_tokens.json"
# ids by token, and merges: transformers' two files, and OpenAI's
PAIRS = {VOCAB: MERGES, "encoder.json": "vocab.bpe"}
SPECIAL = "special_tokens_map.json"
MODEL = "config.json"
# for all three transformers' GPT-2 has the end of a text, and so has a folder that names no other
ENDINGS = ("bos_token", "eos_token", "unk_token")
# tokenizers of other kinds, by the files that transformers gives them
FOREIGN = {"vocab.txt": "WordPiece", "*.model": "SentencePiece", "*.spm": "SentencePiece",
           "tokenizer.tiktoken": "tiktoken", "tekken.json": "tiktoken"}


def read_tokenizer(folder: Path, vocab_size: int | None = None) -> Tokenizer | None:
    """A folder's own tokenizer, None if it has none.

    `vocab_size` is the model's: it may have more ids. Raises ValueError, naming the file, for a
    tokenizer of another kind than byte-level BPE and for one with ids that the model lacks.
    """
    file = next((folder / name for name in (TOKENIZER, *PAIRS) if (folder / name).is_file()), None)
    if file is None:
        _check_foreign(folder)
        return None
    merges = PAIRS.get(file.name, "")
    if merges and not (folder / merges).is_file():
        raise ValueError(f"{folder}: its tokenizer is {file.name} without {merges}; place that, or "
                         f"{TOKENIZER}, beside it")
    config = _read(folder / CONFIG)
    special = {**_read(folder / SPECIAL), **config}
    try:
        if file.name == TOKENIZER:
            text = read_text(file, ValueError)
            characters = _characters(text)
            if characters is not None:
                return _fitting(CharTokenizer(characters), vocab_size)
            vocabulary = Vocabulary.from_json(text, _text_of(special.get("eos_token")))
            if not vocabulary.end:
                listed = {token.id: token.text for token in vocabulary.added}
                end = listed.get(_end_id(folder), "")
                vocabulary = replace(vocabulary, end=end) if end else vocabulary
        else:
            vocabulary = _from_two_files(file, folder / merges, special)
        if config.get("add_prefix_space"):
            raise ValueError("it has add_prefix_space, which npgpt does not have")
        vocabulary.encoding             # its merges are checked
        if adds := _adds(file, config):
            warnings.warn(f"{file}: {adds} adds tokens before or after a text, which npgpt does "
                          "not; --special makes those in a text tokens", stacklevel=2)
        _fitting(BPETokenizer(vocabulary), vocab_size)
        return BPETokenizer(vocabulary, vocab_size, _roles(vocabulary, special))
    except ValueError as error:
        beside = f" with {merges}" if merges else ""
        where = "" if str(error).startswith(str(folder)) else f"{file}{beside}: "
        raise ValueError(f"{where}{error}") from None


def _roles(vocabulary: Vocabulary, special: Mapping[str, object]) -> dict[str, str]:
    """What the folder calls its tokens, by name, where that is not the end of a text for all."""
    texts = {token.text for token in vocabulary.added}
    named = {name: _text_of(value) for name, value in special.items() if name.endswith("_token")}
    return {name: text for name, text in sorted(named.items())
            if text in texts and (text != vocabulary.end or name not in ENDINGS)}


def _adds(file: Path, config: Mapping[str, object]) -> str:
    """What of a tokenizer adds tokens to a text, "" for none."""
    found = next((name for name in ("add_bos_token", "add_eos_token") if config.get(name)), "")
    after = _read(file).get("post_processor") if file.name == TOKENIZER else None
    kind = after.get("type") if isinstance(after, dict) else None
    if kind == "TemplateProcessing" and isinstance(after, dict):
        kind = any("SpecialToken" in each for each in _listed(after.get("single"))
                   if isinstance(each, dict)) and kind
    return f"its post_processor {kind}" if kind and kind != "ByteLevel" else found


def _check_foreign(folder: Path) -> None:
    for pattern, kind in FOREIGN.items():
        for file in sorted(folder.glob(pattern)):
            raise ValueError(f"{folder}: its tokenizer is {file.name} ({kind}), which npgpt does "
                             f"not have; expected byte-level BPE: {TOKENIZER}, or {VOCAB} with "
                             f"{MERGES}")


def _fitting(tokenizer: Tokenizer, vocab_size: int | None) -> Tokenizer:
    if vocab_size is not None and tokenizer.vocab_size > vocab_size:
        raise ValueError(f"it has {tokenizer.vocab_size:,} ids, the model {vocab_size:,}")
    return tokenizer


def _from_two_files(file: Path, merges_file: Path, special: Mapping[str, object]) -> Vocabulary:
    folder, ids = file.parent, _read(file)
    lines = [line.removesuffix("\r") for line in read_text(merges_file, ValueError).split("\n")]
    merges = [line for line in lines if line.strip() and not line.startswith("#version")]
    named = {_text_of(value) for name, value in special.items()
             if name.endswith("_token") and name != "additional_special_tokens"}
    named |= {_text_of(each) for each in _listed(special.get("additional_special_tokens"))}
    end = _text_of(special.get("eos_token"))
    # transformers' default for what no file names
    named.add(END_OF_TEXT)
    if not end and END_OF_TEXT not in {**ids, **_read(folder / ADDED)}:
        by_id = {i: text for text, i in ids.items() if type(i) is int}
        end = by_id.get(_end_id(folder), "")
        named.add(end)
    added = {text: (i, text in named) for text, i in ids.items() if text in named}
    added |= {text: (i, text in named) for text, i in _read(folder / ADDED).items()}
    detailed = special.get("added_tokens_decoder")
    if isinstance(detailed, dict):
        added |= {_text_of(each): (int(i), bool(each.get("special")))
                  for i, each in detailed.items() if isinstance(each, dict)}
    wrong = next((text for text, (i, _) in added.items() if type(i) is not int or i < 0), None)
    if wrong is not None:
        raise ValueError(f"the id of {shown(wrong)} is not an integer of at least 0")
    tokens = [Added(text, int(str(i)), is_special) for text, (i, is_special) in added.items()]
    return Vocabulary.from_parts(ids, merges, tokens, end)


def _end_id(folder: Path) -> int:
    """eos_token_id of the model's config.json; -1 for none."""
    end = _read(folder / MODEL).get("eos_token_id")
    return end if type(end) is int else -1


def _read(path: Path) -> dict[str, object]:
    return read_json(path, ValueError) if path.is_file() else {}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text_of(token: object) -> str:
    """A special token's text, which is written alone or with its properties."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


def tokenizer_files(tokenizer: Tokenizer) -> dict[str, str]:
    """The files that transformers' AutoTokenizer reads, by name, with their content."""
    end, roles = None, {}
    if isinstance(tokenizer, BPETokenizer):
        content = tokenizer.vocabulary.to_json()
        end, roles = tokenizer.vocabulary.end or None, tokenizer.roles
    elif isinstance(tokenizer, CharTokenizer):
        content = _of_characters(tokenizer.characters)
    else:
        raise ValueError(f"{tokenizer!r} has no form that transformers reads")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **dict.fromkeys(ENDINGS, end), **roles,
              "clean_up_tokenization_spaces": False}
    return {TOKENIZER: content + "\n", CONFIG: json.dumps(config, indent=2) + "\n"}


def _of_characters(characters: str) -> str:
    # BPE without merges: a text is cut into characters, and each is looked up
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": None, "pre_tokenizer": None, "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
            "ignore_merges": False, "vocab": {sign: i for i, sign in enumerate(characters)},
            "merges": [],
        },
    }, ensure_ascii=False)


def _characters(text: str) -> str | None:
    """The characters of what `_of_characters` wrote; None for any other tokenizer."""
    try:
        vocab = json.loads(text)["model"]["vocab"]
        characters = "".join(sorted(vocab, key=vocab.__getitem__))
        own = json.loads(_of_characters(characters)) == json.loads(text)
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return characters if own else None
