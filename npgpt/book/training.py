"""Chapter 5's training run, step by step: its losses and the text that it writes.

Ten epochs over the short story, nine batches of two windows of 256 tokens each; AdamW with learning
rate 4e-4 and decay 0.1; every five steps the mean loss of five training batches and of the one for
validation, without dropout; after each epoch fifty tokens, always the likeliest.

One generator, seeded with 123, gives the initial parameters, then every order of batches and every
dropout mask, in turn. What can differ from the book is rounding: sums are taken in another order.
On x86-64 with NumPy's OpenBLAS nothing does: all 18 pairs of losses and all 12 texts are the
book's (benchmarks/results/book-training.json).
"""

from __future__ import annotations

from typing import Iterator, NamedTuple

from ..gpt2 import GPT2
from .adamw import AdamW
from .chapter5 import CONFIG, PROMPT, evaluate
from .figures import Figure, TextFigure, at
from .generator import TorchGenerator
from .initialise import gpt2
from .story import Loader, decode, encode, training_loaders
from .writing import write

SEED = 123
EPOCHS, LEARNING_RATE, WEIGHT_DECAY = 10, 4e-4, 0.1
EVALUATE_EVERY, EVALUATION_BATCHES, SAMPLE_TOKENS = 5, 5, 50

# step, training loss, validation loss
PRINTED_LOSSES = (
    (0, "9.781", "9.933"), (5, "8.111", "8.339"), (10, "6.661", "7.048"),
    (15, "5.961", "6.616"), (20, "5.726", "6.600"), (25, "5.201", "6.348"),
    (30, "4.417", "6.278"), (35, "4.069", "6.226"), (40, "3.732", "6.160"),
    (45, "2.850", "6.179"), (50, "2.427", "6.141"), (55, "2.104", "6.134"),
    (60, "1.882", "6.233"), (65, "1.320", "6.238"), (70, "0.985", "6.242"),
    (75, "0.717", "6.293"), (80, "0.541", "6.393"), (85, "0.391", "6.452"),
)
# the first 16 hexadecimal digits of the sha256 of each printed text, one an epoch
PRINTED_TEXTS = (
    "673ead0752f695c3", "0acfdfb908c9239c", "1c2ff06d5945ec8a", "a46db7da2103aa15",
    "0f23b6b4c9f4b13a", "e3dc1f880ba825cf", "7f3501e0635e2c54", "310117558f703dad",
    "86cbc4477cde2403", "505aecaf60cc945f",
)
# of the text after the run: 25 likeliest tokens, and 15 drawn from the 25 best at temperature 1.4
PRINTED_LIKELIEST, PRINTED_DRAWN = "6dc9b0e431bfb7e1", "0e7d57c16fd399f8"


class Evaluation(NamedTuple):
    """The loss of one step, and the mean losses after it, without dropout."""

    step: int
    loss: float
    train: float
    val: float


class Sample(NamedTuple):
    """What the model wrote after an epoch, in one line."""

    epoch: int
    text: str


def train(
    model: GPT2, rng: TorchGenerator, loaders: tuple[Loader, Loader], epochs: int = EPOCHS
) -> Iterator[Evaluation | Sample]:
    """Train the model in place, drawing from rng, and yield evaluations and samples on the way."""
    training, validation = loaders
    optimiser = AdamW(model.params, LEARNING_RATE, WEIGHT_DECAY)
    step = 0
    for epoch in range(epochs):
        for inputs, targets in training.batches(rng):
            loss, grads = model.loss_and_grads(inputs, targets, rng)
            optimiser.step(grads)
            if step % EVALUATE_EVERY == 0:
                yield Evaluation(step, loss, evaluate(model, training, rng, EVALUATION_BATCHES),
                                 evaluate(model, validation, rng, EVALUATION_BATCHES))
            step += 1
        yield Sample(epoch, _write(model, SAMPLE_TOKENS))


def figures(epochs: int = EPOCHS) -> Iterator[Figure]:
    """The run's log beside the printed one; a text is compared by its sha256.

    About 7 seconds a step on one core, 90 steps.
    """
    figure = at("5.2", "listing 5.3")
    rng = TorchGenerator(SEED)
    model = gpt2(CONFIG, rng)
    printed = {step: f"{train_loss} {val_loss}" for step, train_loss, val_loss in PRINTED_LOSSES}
    for event in train(model, rng, training_loaders(CONFIG["context_length"]), epochs):
        if isinstance(event, Evaluation):
            yield figure(f"training and validation loss, step {event.step}", printed[event.step],
                         [event.train, event.val])
        else:
            yield TextFigure(f"text after epoch {event.epoch + 1}",
                             PRINTED_TEXTS[event.epoch], event.text,
                             section="5.2", item="listing 5.3")
    if epochs == EPOCHS:
        yield TextFigure("text after training", PRINTED_LIKELIEST, _write(model, 25),
                         section="5.3")
        drawn = _write(model, 15, temperature=1.4, top_k=25, rng=TorchGenerator(SEED))
        yield TextFigure("text drawn at temperature 1.4", PRINTED_DRAWN, drawn,
                         section="5.3.3", item="listing 5.4")


def _write(model: GPT2, n: int, temperature: float = 0.0, top_k: int | None = None,
           rng: TorchGenerator | None = None) -> str:
    return decode(write(model, encode(PROMPT), n, temperature, top_k, rng)).replace("\n", " ")
