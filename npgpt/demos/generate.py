"""From logits to probabilities to tokens, step by step, by an untrained and a trained model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import ops
from ..gpt2 import GPT2
from ..layers.contract import Array
from ..text import Tokenizer, load_corpus
from ..training.checkpoint import open_model
from ..training.loop import new_state, train_step
from ..training.settings import resolve
from . import drawing
from .terminal import bar, beside, tint, wrapped

PROMPT = "The "
TRAIN_STEPS = 250
LOOK = """At every step the model gives each token a score, the logit; softmax turns scores into
    probabilities; here the likeliest token is taken and joins the text (greedy). Untrained, all
    tokens are about equally likely; trained, a few share nearly all of the probability."""


@dataclass(frozen=True, eq=False)
class Step:
    """One token written: the likeliest candidates, best first, and the text before it."""

    text: str
    tokens: list[str]
    """(K,) candidates as text."""
    logits: Array
    """(K,) their scores."""
    probabilities: Array
    """(K,) after softmax over the whole vocabulary."""
    chosen: int
    """The id that was taken: the first candidate's."""


@dataclass(frozen=True, eq=False)
class Writing:
    """What one model wrote, step by step."""

    model: str
    vocab_size: int
    steps: list[Step]

    @property
    def text(self) -> str:
        """The prompt and what was written."""
        last = self.steps[-1]
        return last.text + last.tokens[0]


def generate_demo(
    prompt: str = PROMPT, steps: int = 5, candidates: int = 5, model: Path | None = None
) -> list[Writing]:
    """Write greedily with an untrained model and a trained one of the same shape.

    `model` is a run or folder of weights; without it a tiny model is trained for a few seconds on
    Python's documentation. ValueError for an empty prompt or fewer than one step.
    """
    if not prompt:
        raise ValueError("the prompt is empty; give at least one character")
    if steps < 1 or candidates < 1:
        raise ValueError(f"steps={steps} and candidates={candidates} must be at least 1")
    trained, tokenizer, name = _train_a_tiny_one() if model is None else _open(model)
    untrained = GPT2.init(trained.config, seed=0)
    return [_write("untrained", untrained, tokenizer, prompt, steps, candidates),
            _write(name, trained, tokenizer, prompt, steps, candidates)]


def _open(path: Path) -> tuple[GPT2, Tokenizer, str]:
    model, tokenizer = open_model(path)
    return model, tokenizer, f"trained: {path.name}"


def _train_a_tiny_one() -> tuple[GPT2, Tokenizer, str]:
    run = resolve(None, None, {
        "n_layer": 2, "n_embd": 64, "n_positions": 32, "batch_size": 16, "max_steps": TRAIN_STEPS,
        "learning_rate": 4e-3, "warmup_steps": 20,
    })
    corpus = load_corpus(run.data.corpus, run.data.tokenizer, run.data.val_fraction)
    state = new_state(run, corpus)
    for _ in range(TRAIN_STEPS):
        train_step(state, corpus.train)
    return GPT2(state.config, state.params), corpus.tokenizer, f"trained for {TRAIN_STEPS} steps"


def _write(
    name: str, model: GPT2, tokenizer: Tokenizer, prompt: str, steps: int, candidates: int
) -> Writing:
    ids = tokenizer.encode(prompt).tolist()
    written = []
    for _ in range(steps):
        logits = model.logits(ids[-model.config.n_positions:])[-1]          # (V,)
        probabilities = ops.softmax(logits)                                 # (V,)
        best = np.argsort(-logits, kind="stable")[:candidates]
        written.append(Step(tokenizer.decode(ids), [tokenizer.decode([i]) for i in best],
                            logits[best], probabilities[best], int(best[0])))
        ids.append(int(best[0]))
    return Writing(name, model.config.vocab_size, written)


def generate_text(shown: list[Writing], colour: bool = False) -> str:
    """Both models side by side, a block of candidates per step; 80 columns."""
    lines = [wrapped(LOOK), ""]
    width = 39
    lines += beside(*[[tint(f"{w.model} ({w.vocab_size:,} tokens)"[:width], "bold", colour)
                       + " " * max(0, width - len(f"{w.model} ({w.vocab_size:,} tokens)"))]
                      for w in shown])
    for number in range(len(shown[0].steps)):
        lines.append("")
        lines += beside(*[_block(w.steps[number], width, colour) for w in shown])
    lines.append("")
    lines += [f"{w.model}: {w.text!r}" for w in shown]
    return "\n".join(line.rstrip() for line in lines)


def _block(step: Step, width: int, colour: bool) -> list[str]:
    shown = repr(step.text)
    if len(shown) > width - 6:
        shown = "..." + shown[-(width - 9):]
    lines = [f"after {shown}".ljust(width), f"{'token':>12}{'logit':>8}{'p':>7}".ljust(width)]
    for n, (token, logit, p) in enumerate(zip(step.tokens, step.logits, step.probabilities)):
        text = f"{repr(token)[:10]:>12}{logit:8.2f}{p:7.1%} "
        strip = bar(float(p), width - len(text))
        lines.append(text + (tint(strip, "orange", colour) if n == 0 else strip))
    return lines


def generate_picture(shown: list[Writing]) -> Any:
    """A Figure: a row per model, a panel per step, all on one scale."""
    columns = min(4, len(shown[0].steps))
    figure = drawing.new_figure(len(shown), columns, (2.7 * columns, 2.4 * len(shown) + 0.4),
                                sharey=True, squeeze=False)
    for row, writing in enumerate(shown):
        for column in range(columns):
            axes, step = figure.axes[row * columns + column], writing.steps[column]
            colours = [drawing.ORANGE] + [drawing.BLUE] * (len(step.tokens) - 1)
            axes.bar(range(len(step.tokens)), step.probabilities, color=colours)
            axes.set_xticks(range(len(step.tokens)), [repr(token) for token in step.tokens],
                            fontsize=8)
            axes.set_title(f"after {step.text[-14:]!r}", fontsize=9)
            axes.set_ylim(0, 1)
        figure.axes[row * columns].set_ylabel(f"{writing.model}\nprobability", fontsize=9)
    return figure
