"""Chapter 5, training: the loss before it, how sampling draws the next token, OpenAI's weights."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Iterator

import numpy as np

from ..evaluation.text import mean_loss
from ..gpt2 import GPT2
from ..layers.contract import Array
from ..ops import TEXTBOOK as ops
from .chapter4 import ENDS
from .figures import Figure, Parts, at
from .generator import TorchGenerator
from .initialise import GPT_CONFIG_124M, BookConfig, gpt2
from .story import Loader, decode, encode, story, training_loaders
from .writing import keep_best, write

CONFIG: BookConfig = {**GPT_CONFIG_124M, "context_length": 256}
PROMPT = "Every effort moves you"

# three tokens each of "every effort moves you" and "I really like chocolate", and the next
INPUTS = np.array([[16833, 3626, 6100], [40, 1107, 588]])
TARGETS = np.array([[3626, 6100, 345], [1107, 588, 11311]])

# scores of the next of nine words after "every effort moves you"
WORDS = ("closer", "every", "effort", "forward", "inches", "moves", "pizza", "toward", "you")
SCORES = np.array([4.51, 0.89, -1.90, 6.75, 1.63, -1.62, -1.89, 6.28, 1.79], np.float32)


def _before_training() -> Iterator[Figure]:
    model = gpt2(CONFIG, 123)
    written = write(model, encode(PROMPT), 10)
    yield at("5.1.1", "listing 5.1")(
        "text before training",
        "Every effort moves you rentingetic wasnم refres RexMeCHicular stren", decode(written))
    yield from _loss(model)
    yield from _data(model)


def _loss(model: GPT2) -> Iterator[Figure]:
    figure, scores = at("5.1.2"), model.logits(INPUTS)
    yield figure("shape of the probabilities", "2 3 50257", scores.shape)
    probabilities = ops.softmax(scores)
    yield figure("likeliest tokens", "16657 339 42826\n49906 29669 41751",
                 probabilities.argmax(-1))
    yield figure("targets of the first text", "effort moves you", decode(TARGETS[0]).strip())
    yield figure("likeliest tokens of the first text", "Armed heNetflix",
                 decode(probabilities[0].argmax(-1)).strip())
    of_targets = np.take_along_axis(probabilities, TARGETS[..., None], axis=-1)[..., 0]
    yield figure("probabilities of the targets", """
        7.4541e-05 3.1061e-05 1.1563e-05
        1.0337e-05 5.6776e-05 4.7559e-06""", of_targets)
    yield figure("their logarithms", """
        -9.5042 -10.3796 -11.3677
        -11.4798 -9.7764 -12.2561""", np.log(of_targets))
    loss = model.loss(INPUTS, TARGETS)
    yield figure("their mean", "-10.7940", np.log(of_targets).mean())
    yield figure("loss of the first batch", "10.7940", loss)
    yield figure("perplexity", "48725.8203", np.exp(np.float32(loss)))


def _data(model: GPT2) -> Iterator[Figure]:
    figure = at("5.1.3")
    yield figure("characters and tokens of the story", "20479 5145",
                 [len(story()), len(encode(story()))])
    train, val = training_loaders(CONFIG["context_length"])
    rng = TorchGenerator(123)
    sizes = [[x.shape for x, _ in loader.batches(rng)] for loader in (train, val)]
    yield figure("training batches", "\n".join(["2 256"] * 9), sizes[0])
    yield figure("validation batches", "2 256", sizes[1])
    tokens = [sum(b * t for b, t in shapes) for shapes in sizes]
    yield figure("tokens for training, validation, both", "4608 512 5120", [*tokens, sum(tokens)])
    figure, rng = at("5.1.3", "listing 5.2"), TorchGenerator(123)
    yield figure("training loss before training", "10.98758347829183", evaluate(model, train, rng))
    yield figure("validation loss before training", "10.98110580444336", evaluate(model, val, rng))


def evaluate(
    model: GPT2, loader: Loader, rng: TorchGenerator, at_most: int | None = None
) -> float:
    """The mean loss of the loader's first batches, all when `at_most` is None; without dropout."""
    batches = islice(loader.batches(rng), at_most)
    return mean_loss(model.params, model.config, batches, ops=model.ops)


def _sampling() -> Iterator[Figure]:
    figure = at("5.3.1")
    yield figure("likeliest word", "forward", WORDS[int(SCORES.argmax())])
    first = TorchGenerator(123).multinomial(ops.softmax(SCORES))
    yield figure("one drawn word", "forward", WORDS[int(first[0])])
    for temperature, printed in (
        (1.0, "73 0 0 582 2 0 0 343"),
        (0.1, "0 0 0 985 0 0 0 15"),
        (5.0, "165 75 42 239 71 46 32 227 103"),
    ):
        yield figure(f"1000 draws at temperature {temperature:g}", printed, _counts(temperature))
    figure = at("5.3.2")
    best = np.argsort(-SCORES, kind="stable")[:3]
    yield figure("three best scores", "6.7500 6.2800 4.5100", SCORES[best])
    yield figure("their places", "3 7 0", best)
    three = keep_best(SCORES, 3)
    yield figure("the others dropped",
                 "4.5100 -inf -inf 6.7500 -inf -inf -inf 6.2800 -inf", three)
    yield figure("probabilities of the three",
                 "0.0615 0.0000 0.0000 0.5775 0.0000 0.0000 0.0000 0.3610 0.0000",
                 ops.softmax(three))


def _counts(temperature: float) -> Array:
    probabilities = ops.softmax(SCORES / np.float32(temperature))
    rng = TorchGenerator(123)
    drawn = [int(rng.multinomial(probabilities)[0]) for _ in range(1000)]
    return np.bincount(drawn)


PARTS: Parts = {"5.1": _before_training, "5.3": _sampling}
"""Every number that the chapter prints before and beside the training run."""


def pretrained_figures(folder: Path) -> Iterator[Figure]:
    """Every number of section 5, from the published gpt2 weights of OpenAI in `folder`."""
    figure, model = at("5.5"), GPT2.load(folder)
    config, table = model.config, model.params["wte.weight"]
    yield figure("settings: vocabulary, context, channels, heads, layers", "50257 1024 768 12 12",
                 [config.vocab_size, config.n_positions, config.n_embd, config.n_head,
                  config.n_layer])
    yield figure("token table", """
        -0.11010301 -0.03926672 0.03310751 -0.1363697 0.01506208 0.04531523
        0.04034033 -0.04861503 0.04624869 0.08605453 0.00253983 0.04318958
        -0.12746179 0.04793796 0.18410145 0.08991534 -0.12972379 -0.08785918
        -0.04453601 -0.05483596 0.01225674 0.10435229 0.09783269 -0.06952604
        0.1860082 0.01665728 0.04611587 -0.09625227 0.07847701 -0.02245961
        0.05135201 -0.02768905 0.0499369 0.00704835 0.15519823 0.12067825""",
                 table[np.ix_(ENDS, ENDS)])
    yield figure("shape of the token table", "50257 768", table.shape)
    written = write(model, encode(PROMPT), 25, temperature=1.5, top_k=50, rng=TorchGenerator(123))
    figure = at("5.5", "listing 5.5")
    # a line break would break the table: it is shown as its escape
    yield figure("text drawn at temperature 1.5",
                 "Every effort moves you toward finding an ideal new way to practice something!"
                 r"\n\nWhat makes us want to be on top of that?\n\n",
                 decode(written).replace("\n", r"\n"))
