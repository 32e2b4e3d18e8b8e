"""Corpora: a text as tokens, split into one part to train on and one held out."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import numpy as np

from ..checked import checked
from ..ids import check_number
from .bpe import END_OF_TEXT, BPETokenizer
from .cache import (
    SUFFIX,
    VERSION,
    DamagedTokens,
    TokenHeader,
    cache_folder,
    read_tokens,
    write_tokens,
)
from .chars import CharTokenizer
from .choose import check_name, learned_size, tokenizer_from_dict
from .encode import char_vocabulary, encode_source, whole_pieces
from .learned import learn_vocabulary
from .named import Report, find_source
from .sources import ContentHash, CorpusError, Source, cause, content_hash
from .tokenizer import Tokenizer

_LARGE_BYTES = 32_000_000
_COUNT_AT_ONCE = 1 << 18


@dataclass(frozen=True, eq=False)
class Corpus:
    """The tokens of a text.

    name            as load_corpus was given it
    tokenizer       encodes to these tokens and decodes them
    train, val      tokens, uint16, shape (n,), read-only; val is the end of the text
    n_bytes         size of the text in UTF-8
    fingerprint     sha256 of content and tokenizer: equal fingerprints mean equal tokens
    path            the token file that train and val are mapped from, None if they are in memory
    notes           what a user should know about the loading, a line each
    """

    name: str
    tokenizer: Tokenizer
    train: np.ndarray
    val: np.ndarray
    n_bytes: int
    fingerprint: str
    path: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_tokens(self) -> int:
        """The tokens of train and val together."""
        return len(self.train) + len(self.val)

    @checked
    def require(self, length: int, split: np.ndarray) -> None:
        """CorpusError unless a split, train or val, has at least `length` tokens."""
        if len(split) < length:
            part = "validation" if split is self.val else "training"
            raise CorpusError(
                f"the {part} part of {self.name}: expected at least {length:,} tokens, got "
                f"{len(split):,}; use a longer text, a shorter sequence, or another val_fraction"
            )

    def unigram_entropy(self) -> float:
        """Entropy of the token frequencies of train, in nats: -sum p ln p, p = count / n.

        The training loss of the best model that knows frequencies and no context. A language model
        that has learnt anything from the text is well below.
        """
        counts = np.zeros(self.tokenizer.vocab_size, dtype=np.int64)
        # in blocks: bincount converts its input to int64
        for start in range(0, len(self.train), _COUNT_AT_ONCE):
            block = self.train[start : start + _COUNT_AT_ONCE]
            counts += np.bincount(block, minlength=len(counts))
        p = counts[counts > 0] / max(1, len(self.train))
        return float(-(p * np.log(p)).sum()) if len(p) else 0.0


@dataclass(frozen=True)
class _Wish:
    """What the tokens of a text depend on: a tokenizer, or what to learn one by, and special."""

    asked: Tokenizer | str
    special: bool


@checked
def load_corpus(
    name_or_path: str | os.PathLike[str],
    tokenizer: str | Tokenizer = "char",
    val_fraction: float = 0.1,
    cache_dir: str | os.PathLike[str] | None = None,
    report: Report | None = None,
    special: bool = False,
) -> Corpus:
    """A named corpus (npgpt.text.CORPORA), a file, or a folder of UTF-8 text, as tokens.

        corpus = load_corpus("python-docs")
        corpus.train[:64], corpus.tokenizer.decode(corpus.val[:64])

    tokenizer       "char" (its vocabulary: all characters of the text), "gpt2", "bpe:1024" (so many
                    ids, learned from the text), or a Tokenizer
    val_fraction    val is what follows the first int(n_tokens * (1 - val_fraction)) tokens
    cache_dir       folder for downloads and token files; None: see npgpt.text.cache_folder
    report          is called with each note as it comes up; Corpus.notes has them all
    special         "<|endoftext|>" in the text is the id that ends a document, not text; a char
                    tokenizer has no such id

    The text is read once for its hash, and tokenised only if there is no sound token file for it.
    Where none can be written the tokens stay in memory, and a note says so.
    CorpusError for a text that cannot be read; ValueError for any other invalid argument.
    """
    if not 0 <= check_number("val_fraction", val_fraction) < 1:
        raise ValueError(f"val_fraction={val_fraction} must be in [0, 1); try 0.1")
    asked: Tokenizer | str              # a str: learned from the text
    if isinstance(tokenizer, Tokenizer):
        asked = tokenizer
    elif isinstance(tokenizer, str) and learned_size(tokenizer):
        asked = tokenizer
    else:
        asked = BPETokenizer() if check_name(tokenizer) == "gpt2" else CharTokenizer.name
    if special and (asked == CharTokenizer.name or isinstance(asked, CharTokenizer)):
        raise ValueError("special: the tokenizer char has no special tokens; expected gpt2 or bpe")
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        if report is not None:
            report(text)

    folder = cache_folder(cache_dir)
    source = find_source(name_or_path, folder, note)
    content = content_hash(source, (_end_of(asked), END_OF_TEXT))
    if not content.n_bytes:
        raise CorpusError(f"{source.name} is empty; a corpus needs text")
    wish = _Wish(asked, special)
    used, tokens, path = _stored_or_built(source, content, wish, folder, note)
    n_train = int(len(tokens) * (1 - val_fraction))
    _report_ends(source, content, used, special, note)
    size = learned_size(tokenizer) if isinstance(tokenizer, str) else None
    if size is not None and used.vocab_size < size:
        note(f"{source.name} gives {used.vocab_size:,} ids, not {size:,}: after their merges no "
             "pair stands in it twice")
    return Corpus(
        name=source.name,
        tokenizer=used,
        train=tokens[:n_train],
        val=tokens[n_train:],
        n_bytes=content.n_bytes,
        fingerprint=_sha256(content.hexdigest(), used.fingerprint, *["special"] * special),
        path=path,
        notes=tuple(notes),
    )


def _stored_or_built(
    source: Source, content: ContentHash, wish: _Wish, folder: Path, report: Report
) -> tuple[Tokenizer, np.ndarray, Path | None]:
    """The tokenizer, the tokens, and their file, None if it could not be written."""
    path = folder / _file_name(source, content, wish)
    try:
        header, tokens = read_tokens(path)
        return _tokenizer_of(header, content, wish), tokens, path
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (DamagedTokens, OSError) as error:
        report(f"the token file {path} cannot be used: {cause(error)}; the text is tokenised again")

    if content.n_bytes >= _LARGE_BYTES:
        report(f"tokenising {source.name} ({content.n_bytes / 1e6:,.0f} MB), once")
    used = _learned(source, wish.asked) if isinstance(wish.asked, str) else wish.asked
    header = TokenHeader(used.to_dict(), content.hexdigest(), content.n_bytes)
    try:
        write_tokens(path, header, _encode_checked(source, used, content, wish.special))
        return used, read_tokens(path)[1], path
    except (DamagedTokens, OSError) as error:
        report(
            f"cannot write the token file {path} ({cause(error)}): the tokens stay in memory for "
            f"this run; set NPGPT_CACHE to another folder"
        )
    tokens = np.concatenate(list(_encode_checked(source, used, content, wish.special)))
    tokens.flags.writeable = False
    return used, tokens, None


def _encode_checked(
    source: Source, tokenizer: Tokenizer, content: ContentHash, special: bool
) -> Iterator[np.ndarray]:
    """encode_source; CorpusError at the end if the text has changed since it was hashed."""
    again = ContentHash()
    yield from encode_source(source, tokenizer, again, special)
    if again.hexdigest() != content.hexdigest():
        raise CorpusError(f"{source.name} changed while it was read; try again once it is complete")


def _learned(source: Source, name: str) -> Tokenizer:
    """The tokenizer of that name, learned from a source."""
    size = learned_size(name)
    if size is None:
        return char_vocabulary(source)
    return BPETokenizer(learn_vocabulary(whole_pieces(source, BPETokenizer()), size))


def _report_ends(
    source: Source, content: ContentHash, tokenizer: Tokenizer, special: bool, report: Report
) -> None:
    """Say what was made of the text that ends a document, which is GPT-2's <|endoftext|> or the
    tokenizer's own, if it is there."""
    if tokenizer.eot_id is None:
        return
    for end, count in content.counts.items():
        if not count:
            continue
        found = f"{source.name} holds {end} {count:,} time{'s' * (count > 1)}"
        if end == _end_of(tokenizer):
            report(f"{found}: each is the end of a document" if special else
                   f"{found}, read as text; --special makes each the end of a document")
        elif end not in _specials(tokenizer):
            report(f"{found}, read as text: the end of a document is {_end_of(tokenizer)} to this "
                   "tokenizer")


def _end_of(tokenizer: Tokenizer | str) -> str:
    """The text of the token that ends a document."""
    if isinstance(tokenizer, BPETokenizer) and tokenizer.name != "gpt2":
        return tokenizer.vocabulary.end or END_OF_TEXT
    return END_OF_TEXT


def _specials(tokenizer: Tokenizer) -> set[str]:
    added = tokenizer.vocabulary.added if isinstance(tokenizer, BPETokenizer) else ()
    return {token.text for token in added}


def _tokenizer_of(header: TokenHeader, content: ContentHash, wish: _Wish) -> Tokenizer:
    """The tokenizer of a token file; DamagedTokens if the file is of another text or tokenizer."""
    if header.source_hash != content.hexdigest():
        raise DamagedTokens("it holds another text")
    try:
        stored = tokenizer_from_dict(header.tokenizer)
    except ValueError as error:
        raise DamagedTokens(f"it has no tokenizer: {error}") from error
    asked = wish.asked
    kind = asked.partition(":")[0] if isinstance(asked, str) else ""
    if stored.name != kind if isinstance(asked, str) else stored != asked:
        raise DamagedTokens("it was made by another tokenizer")
    return stored


def _file_name(source: Source, content: ContentHash, asked: _Wish) -> str:
    """A part for people to read, and a hash of all that the tokens depend on."""
    kind = name = asked.asked if isinstance(asked.asked, str) else asked.asked.name
    if not isinstance(asked.asked, str) and asked.asked.to_dict() != {"name": "gpt2"}:
        name = asked.asked.fingerprint
    parts = (str(VERSION), content.hexdigest(), name, *["special"] * asked.special)
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", Path(source.name).name)[:40].strip("-.") or "text"
    return f"{readable}-{kind.replace(':', '')}-{_sha256(*parts)[:16]}{SUFFIX}"


def _sha256(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
