"""From logits to probabilities to tokens, step by step, by an untrained and a trained model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..display import drawing
from ..display.terminal import WIDTH, bar, beside, page, tint, wrapped
from ..generation.sampling import Sampling, draw, generators
from ..gpt2 import GPT2
from ..ids import check_integer
from ..layers.contract import Array
from ..opening import open_model
from ..text import Tokenizer, load_corpus
from ..training.loop import new_state
from ..training.settings import resolve
from ..training.update import train_step
from . import OnStep

PROMPT = "The exp"
# five seconds on one core: enough to learn which letters follow which
TRAIN_STEPS = 1000
CAPTION = """At every step the model gives each token a score, its logit. Softmax turns these into
    probabilities p. Then a number u between 0 and 1 is drawn: all tokens lie side by side, each
    as wide as its p, and the one at u joins the text. Untrained, all are about equally
    probable; trained, a few have most of the probability."""
COLUMN = 39


@dataclass(frozen=True, eq=False)
class Step:
    """One token written: the most probable candidates, best first, and the one taken."""

    text: str
    """What the model has read."""
    tokens: list[str]
    """(K,) candidates."""
    logits: Array
    """(K,) their scores, as the model gives them."""
    probabilities: Array
    """(K,) after temperature and softmax over the whole vocabulary."""
    u: float | None
    """The uniform random number in [0, 1) that chose; None for greedy."""
    taken: str
    rank: int
    """The rank of the token taken among all, 1 for the most probable."""


@dataclass(frozen=True, eq=False)
class Writing:
    """What one model wrote: its first steps in detail, and the whole text."""

    model: str
    vocab_size: int
    steps: list[Step]
    text: str
    """Prompt, steps and what followed."""


def generate_demo(
    prompt: str = PROMPT, steps: int = 4, candidates: int = 5, model: Path | None = None, *,
    temperature: float = 1.0, seed: int = 4, more: int = 40,
    on_step: OnStep | None = None,
) -> list[Writing]:
    """Write with an untrained model, then with a trained one of the same shape.

    `model` is a run or a folder of weights; without it a tiny model is trained for a few seconds
    on Python's documentation. Temperature 0 is greedy; the same seed draws the same u for both.
    `more` tokens follow the `steps` that are shown; `on_step` sees how many of the TRAIN_STEPS are
    done. Raises ValueError for an empty prompt, fewer than one step or candidate, and a negative
    temperature.
    """
    if not prompt:
        raise ValueError("the prompt is empty; give at least one character")
    for setting, value, least in (("steps", steps, 1), ("candidates", candidates, 1),
                                  ("more", more, 0)):
        check_integer(setting, value, least)
    sampling = Sampling(temperature)
    if model is None:
        trained, tokenizer, name = _train_a_tiny_one(on_step)
    else:
        (trained, tokenizer), name = open_model(model), f"trained: {model.name}"
    written = []
    for title, writer in (("untrained", GPT2.init(trained.config, seed=0)), (name, trained)):
        (rng,) = generators(seed, 1)
        ids = tokenizer.encode(prompt).tolist()
        shown = [_step(writer, tokenizer, ids, sampling, rng, candidates)
                 for _ in range(steps + more)]
        written.append(Writing(title, writer.config.vocab_size, shown[:steps],
                               tokenizer.decode(ids)))
    return written


def _train_a_tiny_one(on_step: OnStep | None = None) -> tuple[GPT2, Tokenizer, str]:
    run = resolve(None, None, {
        "n_layer": 2, "n_embd": 64, "n_positions": 32, "batch_size": 8, "max_steps": TRAIN_STEPS,
        "learning_rate": 4e-3, "warmup_steps": 20,
    })
    corpus = load_corpus(run.data.corpus, run.data.tokenizer, run.data.val_fraction)
    state = new_state(run, corpus)
    for step in range(1, TRAIN_STEPS + 1):
        train_step(state, corpus.train)
        if on_step is not None:
            on_step(step, TRAIN_STEPS)
    return GPT2(state.config, state.params), corpus.tokenizer, f"trained for {TRAIN_STEPS} steps"


def _step(
    model: GPT2, tokenizer: Tokenizer, ids: list[int], sampling: Sampling,
    rng: np.random.Generator, candidates: int,
) -> Step:
    """Choose one token, append it to ids, and describe the choice."""
    logits = model.logits(ids[-model.config.n_positions:])[-1]              # (V,)
    probabilities = sampling.distribution(logits)                           # (V,)
    u = None if sampling.temperature == 0.0 else float(rng.random())
    token = int(logits.argmax()) if u is None else draw(probabilities, u)
    order = np.argsort(-logits, kind="stable")
    best = order[:candidates]
    rank = 1 + int(np.flatnonzero(order == token)[0])
    step = Step(
        tokenizer.decode(ids), [tokenizer.decode([i]) for i in best], logits[best],
        probabilities[best], u, tokenizer.decode([token]), rank,
    )
    ids.append(token)
    return step


def generate_text(shown: list[Writing], colour: bool = False) -> str:
    """Both models side by side, a block of candidates for each step; 80 columns."""
    lines = [wrapped(CAPTION), ""]
    lines += beside(*[[tint(f"{w.model}, {w.vocab_size:,} tokens"[:COLUMN].ljust(COLUMN), "bold",
                            colour)] for w in shown])
    for blocks in zip(*[w.steps for w in shown]):
        lines += ["", *beside(*[_block(step, colour) for step in blocks])]
    for w in shown:
        lines += ["", tint(f"{w.model} wrote:", "bold", colour)]
        text = repr(w.text)
        lines += [text[start:start + WIDTH] for start in range(0, len(text), WIDTH)]
    return page(lines)


def _block(step: Step, colour: bool) -> list[str]:
    text = repr(step.text)
    if len(text) > COLUMN - 6:
        text = "..." + text[-(COLUMN - 9):]
    lines = [f"after {text}".ljust(COLUMN), f"  {'token':>8}{'logit':>8}{'p':>7}".ljust(COLUMN)]
    for place, (token, logit, p) in enumerate(
            zip(step.tokens, step.logits, step.probabilities), start=1):
        taken = place == step.rank
        line = f"{'>' if taken else ' '} {repr(token)[:8]:>8}{logit:8.2f}{p:7.1%} "
        line += bar(float(p), COLUMN - len(line))
        lines.append(tint(line, "orange", colour and taken))
    how = "the best" if step.u is None else f"u={step.u:.3f}"
    number = "" if step.rank <= len(step.tokens) else f", number {step.rank}"
    lines.append(f"  {how} takes {repr(step.taken)[:8]}{number}".ljust(COLUMN))
    return lines


def generate_picture(shown: list[Writing]) -> drawing.Figure:
    """A Figure: a row per model, a panel for each of the first four steps, all on one scale."""
    columns = min(4, len(shown[0].steps))
    figure = drawing.new_figure(len(shown), columns, (2.8 * columns, 2.6 * len(shown)),
                                sharey=True)
    steps = [(writing, step) for writing in shown for step in writing.steps[:columns]]
    for axes, (writing, step) in zip(figure.axes, steps):
        places = range(1, len(step.tokens) + 1)
        axes.bar(places, step.probabilities,
                 color=[drawing.ORANGE if n == step.rank else drawing.BLUE for n in places])
        # parse_math off: a token may be a dollar sign
        axes.set_xticks(places, [repr(token)[:8] for token in step.tokens], fontsize=8,
                        parse_math=False)
        number = "" if step.rank in places else f" (number {step.rank})"
        axes.set_title(f"after {step.text[-12:]!r}:\n{step.taken[:8]!r}{number} is taken",
                       fontsize=9, parse_math=False)
        axes.set_ylim(0, 1)
        if step is writing.steps[0]:
            axes.set_ylabel(f"{writing.model}\nprobability", fontsize=9, parse_math=False)
    return figure
