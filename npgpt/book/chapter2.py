"""Chapter 2, working with text: token ids by two tokenizers, sliding windows, an embedding."""

from __future__ import annotations

import re
from typing import Iterator

import numpy as np

from ..ops import TEXTBOOK as ops
from ..text.bpe import BPETokenizer
from .figures import Figure, Parts, at
from .generator import TorchGenerator
from .story import Loader, encode, story

# two dashes, one sign, or a run of anything else
WORD = re.compile(r"""--|[,.:;?_!"()']|(?:(?!--)[^\s,.:;?_!"()'])+""")
END_OF_TEXT, UNKNOWN = "<|endoftext|>", "<|unk|>"


def words(text: str) -> list[str]:
    """The text cut into words and signs, without white space."""
    return WORD.findall(text)


def _story() -> Iterator[Figure]:
    figure = at("2.2")
    yield at("2.2", "listing 2.1")("characters of the story", "20479", len(story()))
    yield figure("words and signs of the story", "4690", len(words(story())))


def _vocabulary() -> dict[str, int]:
    return {word: i for i, word in enumerate(sorted(set(words(story()))))}


def _word_ids() -> Iterator[Figure]:
    vocabulary = _vocabulary()
    yield at("2.3")("different ones", "1130", len(vocabulary))
    start = story().index('"It\'s the last he painted')
    quotation = story()[start:story().index("pride.", start) + len("pride.")]
    yield at("2.3", "listing 2.3")(
        "ids of a quotation",
        "1 56 2 850 988 602 533 746 5 1126 596 5 1 67 7 38 851 1108 754 793 7",
        [vocabulary[word] for word in words(quotation)],
    )


def _special_tokens() -> Iterator[Figure]:
    figure, vocabulary = at("2.4"), _vocabulary()
    for special in (END_OF_TEXT, UNKNOWN):
        vocabulary[special] = len(vocabulary)
    yield figure("with two special tokens", "1132", len(vocabulary))
    yield figure("the last five", "1127 1128 1129 1130 1131",
                 [vocabulary[word] for word in
                  ("younger", "your", "yourself", END_OF_TEXT, UNKNOWN)])
    ids: list[int] = []
    for sentence in ("Hello, do you like tea?", "In the sunlit terraces of the palace."):
        ids += [vocabulary.get(word, vocabulary[UNKNOWN]) for word in words(sentence)]
        ids.append(vocabulary[END_OF_TEXT])
    yield at("2.4", "listing 2.4")(
        "ids with unknown words",
        "1131 5 355 1126 628 975 10 1130 55 988 956 984 722 988 1131 7", ids[:-1])


def _byte_pairs() -> Iterator[Figure]:
    text = f"Hello, do you like tea? {END_OF_TEXT} In the sunlit terracesof someunknownPlace."
    yield at("2.5")(
        "byte-pair ids, with the end of a text",
        "15496 11 466 345 588 8887 30 220 50256 "
        "554 262 4252 18250 8812 2114 1659 617 34680 27271 13",
        BPETokenizer().encode(text, special=True),
    )


def _windows() -> Iterator[Figure]:
    figure, ids = at("2.6"), encode(story())
    yield figure("byte-pair tokens of the story", "5145", len(ids))
    yield figure("a window: inputs", "290 4920 2241 287", ids[50:54])
    yield figure("a window: targets", "4920 2241 287 257", ids[51:55])
    figure, rng = at("2.6", "listing 2.6"), TorchGenerator(123)
    steps = Loader(ids, 4, 1, 1).batches(rng)
    for name, printed in (
        ("first batch, windows one apart", "40 367 2885 1464\n367 2885 1464 1807"),
        ("second batch", "367 2885 1464 1807\n2885 1464 1807 3619"),
    ):
        yield figure(name, printed, next(steps))
    inputs, targets = next(Loader(ids, 4, 4, 8).batches(rng))
    yield figure("batch of eight: inputs", """
        40 367 2885 1464
        1807 3619 402 271
        10899 2138 257 7026
        15632 438 2016 257
        922 5891 1576 438
        568 340 373 645
        1049 5975 284 502
        284 3285 326 11""", inputs)
    yield figure("batch of eight: targets", """
        367 2885 1464 1807
        3619 402 271 10899
        2138 257 7026 15632
        438 2016 257 922
        5891 1576 438 568
        340 373 645 1049
        5975 284 502 284
        3285 326 11 287""", targets)


def _embedding() -> Iterator[Figure]:
    figure, rng = at("2.7"), TorchGenerator(123)
    table = rng.randn(6, 3)
    yield figure("token table", """
        0.3374 -0.1778 -0.1690
        0.9178 1.5810 1.3010
        1.2753 -0.2010 -0.1606
        -0.4015 0.9666 -1.1481
        -1.1589 0.3255 -0.6315
        -2.8400 -0.7849 -1.4096""", table)
    yield figure("token 3 embedded", "-0.4015 0.9666 -1.1481",
                 ops.token_embedding(np.array([3]), table))
    yield figure("tokens 2, 3, 5, 1 embedded", """
        1.2753 -0.2010 -0.1606
        -0.4015 0.9666 -1.1481
        -2.8400 -0.7849 -1.4096
        0.9178 1.5810 1.3010""", ops.token_embedding(np.array([2, 3, 5, 1]), table))
    figure = at("2.8")
    inputs, _ = next(Loader(encode(story()), 4, 4, 8).batches(rng))
    tokens = ops.token_embedding(inputs, rng.randn(50257, 256))
    yield figure("shape of a batch, embedded", "8 4 256", tokens.shape)
    positions = rng.randn(4, 256)
    yield figure("shape of the positions", "4 256", positions.shape)
    both = ops.position_embedding(tokens, positions, np.arange(4))
    yield figure("shape of their sum", "8 4 256", both.shape)


PARTS: Parts = {
    "2.2": _story, "2.3": _word_ids, "2.4": _special_tokens, "2.5": _byte_pairs, "2.6": _windows,
    "2.7 2.8": _embedding,
}
"""Every number that the chapter prints."""
