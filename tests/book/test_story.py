from __future__ import annotations

import hashlib

import numpy as np

from npgpt.book import TorchGenerator
from npgpt.book.story import Loader, decode, encode, story, training_loaders

from .golden import golden


def test_the_story_is_whole():
    assert hashlib.sha256(story().encode()).hexdigest().startswith("b41e41a6")
    assert decode(encode(story())) == story()


def test_loaders_take_batches_in_pytorchs_order_and_draw_no_more_than_it():
    rng = TorchGenerator(123)
    # windows of one token, whose input is their place
    loaders = (Loader(np.arange(20), 1, 1, 2, shuffle=True, drop_last=True),
               Loader(np.arange(4), 1, 1, 2))
    orders = [[x[:, 0].tolist() for x, _ in loader.batches(rng)]
              for _ in range(3) for loader in loaders]
    assert orders == golden()["loaders"]["orders"]
    np.testing.assert_array_equal(rng.rand(3), np.float32(golden()["loaders"]["then"]))


def test_targets_are_the_inputs_one_place_on():
    loader = Loader(np.arange(100, 130), 8, 5, 2)
    for inputs, targets in loader.batches(TorchGenerator(0)):
        np.testing.assert_array_equal(targets, inputs + 1)
    assert loader.inputs[:, 0].tolist() == [100, 105, 110, 115, 120]
    assert len(loader) == 3
    assert len(Loader(np.arange(100, 130), 8, 5, 2, drop_last=True)) == 2


def test_a_text_shorter_than_a_window_gives_no_batch():
    assert list(Loader(np.arange(5), 8, 8, 2).batches(TorchGenerator(0))) == []


def test_the_training_loaders_have_the_books_sizes():
    train, val = training_loaders(256)
    assert (len(train), len(val)) == (9, 1)
