"""The end of the course: a GPT-2 that trains with the learner's own layers.

A loop of its own, so that the learner's AdamW, clipping and schedule can stand in it too; what is
not the learner's is npgpt's textbook.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import model
from ..config import GPT2Config
from ..evaluation.text import evaluation_batches, mean_loss
from ..layers.contract import UniformSource
from ..ops import Ops
from ..params import init_params
from ..tape import Array, Tape
from ..text import Corpus, load_corpus
from ..training.batches import training_batch

Parts = Mapping[str, Callable[..., Any]]
VAL_BATCHES = 20


@dataclass(frozen=True)
class Plan:
    """The sizes of a run; the corpus is Python's documentation by characters."""

    steps: int = 300
    batch_size: int = 8
    length: int = 64
    n_layer: int = 2
    n_head: int = 4
    n_embd: int = 64
    dropout: float = 0.05
    learning_rate: float = 2e-3
    seed: int = 1
    dtype: str = "float32"

    def config(self, vocab_size: int) -> GPT2Config:
        """The model's architecture."""
        return GPT2Config(
            vocab_size=vocab_size, n_positions=self.length, n_embd=self.n_embd,
            n_layer=self.n_layer, n_head=self.n_head, resid_pdrop=0.0,
            embd_pdrop=self.dropout, attn_pdrop=0.0)


@dataclass
class Run:
    """What came of a run: the loss of each step, of held-out text at the end, and seconds."""

    config: GPT2Config
    params: dict[str, Array]
    losses: list[float] = field(default_factory=list)
    held_out: float = math.nan
    seconds: float = 0.0


class Stopped(ValueError):
    """A learner's layer raised in training, or gave what is not a number."""


def corpus() -> Corpus:
    """The text that is trained on; it needs no network."""
    return load_corpus("python-docs")


def train(
    plan: Plan, text: Corpus, ops: Ops, parts: Parts, *, steps: int | None = None,
    on_step: Callable[[int, float], object] = lambda step, loss: None, evaluate: bool = True,
    run_block: Callable[..., Any] | None = None,
) -> Run:
    """Train with these ops and parts; `on_step` sees each loss. Raises Stopped where the loss is
    not finite."""
    config = plan.config(text.tokenizer.vocab_size)
    params = dict(init_params(config, plan.seed, plan.dtype))
    m, v = ({name: np.zeros_like(p) for name, p in params.items()} for _ in "mv")
    run = Run(config, params)
    start = time.perf_counter()
    for step in range(plan.steps if steps is None else steps):
        ids, targets = training_batch(
            text.train, plan.batch_size, plan.length, seed=plan.seed, step=step)
        # a generator, and not a RowRandom: a learner may draw with any of its methods
        rng = np.random.default_rng([plan.seed, step]) if plan.dropout else None
        loss, grads = gradients(run, ids, targets, ops, rng, run_block)
        if not math.isfinite(loss):
            raise Stopped(f"the loss of step {step + 1} is {loss}")
        grads = _clipped(parts["clip"], grads)
        rate = parts["learning_rate"](
            step, lr=plan.learning_rate, min_lr=plan.learning_rate / 10,
            warmup=max(1, plan.steps // 20), total=plan.steps)
        out = parts["adamw"](run.params, grads, m, v, step=step + 1, lr=float(rate),
                             betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1)
        if isinstance(out, tuple) and len(out) == 3:
            run.params, m, v = out
        elif isinstance(out, dict):
            run.params = out
        run.losses.append(float(loss))
        on_step(step + 1, float(loss))
    run.seconds = time.perf_counter() - start
    if evaluate:
        batches = evaluation_batches(text.val, plan.batch_size, plan.length, VAL_BATCHES)
        run.held_out = mean_loss(run.params, config, batches, ops=ops)
    return run


def gradients(
    run: Run, ids: Array, targets: Array, ops: Ops, rng: UniformSource | None,
    run_block: Callable[..., Any] | None,
) -> tuple[float, dict[str, Array]]:
    """The loss of a batch and the gradient of every parameter, by the tape."""
    tape = Tape()
    params = tape.watch(run.params)
    loss = model.loss(params, ids, targets, run.config, ops=ops, rng=rng, run_block=run_block)
    grads = tape.backward(loss)
    return float(loss.value), {name: grads[var] for name, var in params.items()}


def _clipped(clip: Callable[..., object], grads: dict[str, Array]) -> dict[str, Array]:
    """What a clip returns, or the gradients that it wrote to."""
    out = clip(grads, max_norm=1.0)
    return out if isinstance(out, dict) else grads


def sample(run: Run, text: Corpus, ops: Ops, parts: Parts, count: int = 160) -> str:
    """What the model writes, a token at a time, with the parts' sampling."""
    rng = np.random.default_rng(0)
    ids = [int(i) for i in text.val[:16]]
    begun = len(ids)
    for _ in range(count):
        window = np.array([ids[-run.config.n_positions:]])
        scores = model.logits(run.params, window, run.config, ops=ops)[0, -1]
        probs = np.asarray(parts["sampling"](
            scores.astype(np.float64), temperature=0.8, top_k=20, top_p=0.95))
        ids.append(int(rng.choice(len(probs), p=probs / probs.sum())))
    return text.tokenizer.decode(ids[begun:])
