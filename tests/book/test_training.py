from __future__ import annotations

import numpy as np
import pytest

from npgpt.book import TorchGenerator, gpt2, training
from npgpt.book.figures import DIFFERENT
from npgpt.book.story import Loader
from npgpt.book.training import Evaluation, Sample, train

from .golden import golden


@pytest.mark.smoke
def test_the_loop_follows_pytorchs_step_by_step(monkeypatch):
    monkeypatch.setattr(training, "_write", lambda model, n: "")    # the tiny model knows no words
    wanted = golden()["training"]
    ids = np.arange(200) * 7 % 61
    loaders = (Loader(ids[:121], 8, 8, 2, shuffle=True, drop_last=True),
               Loader(ids[160:193], 8, 8, 2))
    rng = TorchGenerator(123)
    model = gpt2(golden()["initial"][0]["cfg"], rng)
    events = list(train(model, rng, loaders, epochs=3))
    log = [event for event in events if isinstance(event, Evaluation)]
    np.testing.assert_allclose(np.array(log), wanted["log"], rtol=0, atol=2e-5)
    for name, first in wanted["params"].items():
        got = model.params[name].ravel()[:8]
        np.testing.assert_allclose(got, first, rtol=0, atol=2e-5, err_msg=name)
    # the generator stands where PyTorch's stands: nothing was drawn too often or too rarely
    np.testing.assert_array_equal(rng.rand(3), np.float32(wanted["then"]))
    assert [event.epoch for event in events if isinstance(event, Sample)] == [0, 1, 2]


def test_as_many_losses_and_texts_are_printed_as_the_run_gives():
    steps = [step for step, *_ in training.PRINTED_LOSSES]
    assert steps == list(range(0, 9 * training.EPOCHS, training.EVALUATE_EVERY))
    assert len(training.PRINTED_TEXTS) == training.EPOCHS


def test_each_event_of_the_run_is_judged_by_what_the_book_prints_of_it(monkeypatch):
    def as_printed(model, rng, loaders, epochs):
        for step, train_loss, val_loss in training.PRINTED_LOSSES:
            yield Evaluation(step, 0.0, float(train_loss), float(val_loss) + 0.001 * (step == 40))
        for epoch in range(epochs):
            yield Sample(epoch, "nothing that the book prints")

    monkeypatch.setattr(training, "train", as_printed)
    monkeypatch.setattr(training, "gpt2", lambda cfg, rng: None)
    monkeypatch.setattr(training, "_write", lambda model, n, **settings: "nor this")
    figures = list(training.figures())
    losses = [figure for figure in figures if "loss" in figure.name]
    assert [figure.name[-2:] for figure in losses if figure.verdict == DIFFERENT] == ["40"]
    assert len(losses) == 18 and all(f.verdict == DIFFERENT for f in figures if "text" in f.name)
    assert [figure.name for figure in figures[-2:]] == [
        "text after training", "text drawn at temperature 1.4"]
