"""The figures that need 163 million parameters belong to the command; these are the small ones."""

from __future__ import annotations

import numpy as np

from npgpt.book import TorchGenerator, chapter5, gpt2
from npgpt.book.figures import SAME
from npgpt.book.story import Loader

from .golden import golden


def test_temperature_and_top_k_draw_as_the_book_does():
    assert [figure.name for figure in chapter5._sampling() if figure.verdict != SAME] == []


def test_the_mean_loss_takes_as_many_batches_as_there_are():
    model = gpt2(golden()["initial"][0]["cfg"], 1)
    loader = Loader(np.arange(33), 8, 8, 2)
    losses = [model.loss(x, y) for x, y in loader.batches(TorchGenerator(0))]
    assert len(losses) == 2
    assert chapter5.evaluate(model, loader, TorchGenerator(0)) == sum(losses) / 2
    assert chapter5.evaluate(model, loader, TorchGenerator(0), 1) == losses[0]
    assert chapter5.evaluate(model, loader, TorchGenerator(0), 99) == sum(losses) / 2
