"""The figures that need 163 million parameters belong to the command; these are the small ones."""

from __future__ import annotations

import numpy as np

from npgpt import GPT2, GPT2Config
from npgpt.book import TorchGenerator, chapter5, gpt2
from npgpt.book.figures import DIFFERENT, SAME
from npgpt.book.story import Loader, decode
from npgpt.weights import save

from .golden import golden

# corners of the published token table, at its places
CORNERS = {(0, 0): -0.11010301, (1, 767): 0.04318958, (50256, 2): 0.0499369}


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


def test_the_figures_are_those_of_the_weights_that_are_there(tmp_path):
    config = GPT2Config(n_layer=1, n_head=12)
    model = GPT2.init(config)
    model.params["ln_f.weight"][:] = 30.0       # pronounced scores: a text that is no mere noise
    for place, value in CORNERS.items():
        model.params["wte.weight"][place] = value
    save(tmp_path, config, model.params)
    settings, table, shape, text = chapter5.pretrained_figures(tmp_path)
    (_, computed, verdict), = settings.rows()
    assert computed == ["50257", "1024", "768", "12", "1"] and verdict == DIFFERENT
    rows = table.rows()
    for row, column in ((0, 0), (1, 5), (5, 2)):
        printed, computed, _ = rows[row]
        assert printed[column] == computed[column]
    assert sum(a == b for printed, computed, _ in rows for a, b in zip(printed, computed)) == 3
    assert shape.verdict == SAME
    assert text.computed.startswith("Every effort moves you") and "\n" not in text.computed
    assert text.verdict == DIFFERENT


def test_the_text_is_drawn_as_the_chapter_draws_it(tmp_path, monkeypatch):
    drawn = {}

    def write(model, ids, n, **settings):
        drawn.update(settings, n=n, prompt=decode(ids))
        return np.append(ids, [198, 198])

    monkeypatch.setattr("npgpt.book.chapter5.write", write)
    config = GPT2Config(n_layer=1, n_head=1, n_embd=6, n_positions=8)
    save(tmp_path, config, GPT2.init(config).params)
    text = list(chapter5.pretrained_figures(tmp_path))[-1]
    assert text.computed == r"Every effort moves you\n\n"
    np.testing.assert_array_equal(drawn.pop("rng").rand(5), TorchGenerator(123).rand(5))
    assert drawn == {"n": 25, "prompt": "Every effort moves you", "temperature": 1.5, "top_k": 50}
