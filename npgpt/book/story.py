"""The short story that the book trains on, and how the book cuts it into batches.

Source     E. Wharton, The Verdict, 1908; in the public domain
"""

from __future__ import annotations

import functools
import gzip
from importlib.resources import files
from typing import Iterator

import numpy as np

from ..layers.contract import Array
from ..text.bpe import BPETokenizer
from .generator import TorchGenerator

TRAIN_FRACTION = 0.9       # of the characters


@functools.cache
def story() -> str:
    """The whole text: 20,479 characters."""
    packed = files(__package__).joinpath("data", "the-verdict.txt.gz").read_bytes()
    return gzip.decompress(packed).decode("utf-8")


def encode(text: str) -> Array:
    """GPT-2's token ids (T,)."""
    return BPETokenizer().encode(text)


def decode(ids: Array) -> str:
    """The text of ids (T,)."""
    return BPETokenizer().decode(ids)


class Loader:
    """Batches of (ids, targets), each (B, length), drawn as PyTorch's DataLoader draws them.

    The ids are cut into windows `stride` apart; targets are the ids one place on. Each pass over
    the loader takes a number from `rng` for itself, and when it shuffles, one more as the seed of
    a generator for the order.
    """

    def __init__(
        self, ids: Array, length: int, stride: int, batch: int,
        shuffle: bool = False, drop_last: bool = False,
    ) -> None:
        starts = np.arange(0, max(len(ids) - length, 0), stride)
        windows = starts[:, None] + np.arange(length)
        self.inputs, self.targets = ids[windows], ids[windows + 1]
        self.batch, self.shuffle, self.drop_last = batch, shuffle, drop_last

    def __len__(self) -> int:
        full, rest = divmod(len(self.inputs), self.batch)
        return full if self.drop_last or not rest else full + 1

    def batches(self, rng: TorchGenerator) -> Iterator[tuple[Array, Array]]:
        """One pass over all batches."""
        n = len(self.inputs)
        rng.draw_seed()     # for worker processes, whether there are any or not
        order = TorchGenerator(rng.draw_seed()).randperm(n) if self.shuffle else np.arange(n)
        for start in range(0, len(self) * self.batch, self.batch):
            rows = order[start:start + self.batch]
            yield self.inputs[rows], self.targets[rows]


def training_loaders(length: int) -> tuple[Loader, Loader]:
    """Chapter 5's: training on the first 90 % of the characters, shuffled, and validation."""
    cut = int(TRAIN_FRACTION * len(story()))
    train, val = encode(story()[:cut]), encode(story()[cut:])
    return (Loader(train, length, length, 2, shuffle=True, drop_last=True),
            Loader(val, length, length, 2))
