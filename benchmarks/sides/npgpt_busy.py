"""npgpt on a machine that others use too: every path, with all threads or with so many."""

from __future__ import annotations

from itertools import islice
from typing import Any, Callable

import numpy as np

from npgpt import GPT2Config
from npgpt.evaluation.text import mean_loss
from npgpt.fast.ops import FAST
from npgpt.generation import LanguageModel
from npgpt.machine.threads import set_default
from npgpt.params import init_params
from npgpt.selfcheck.check import check_models
from npgpt.training.step.gradients import batches_at_a_time

from ..sizes import BATCHES, CHECKED, SIZES, WRITTEN
from . import npgpt_gpt


def prepare(work: str, threads: int | None = None, **settings: Any) -> Callable[[], Any]:
    """A callable that does one repetition of the work; `threads` as in `npgpt ... --threads`."""
    if threads is not None:
        set_default(threads)
    own = {"generate": _generate, "evaluate": _evaluate, "gradcheck": _gradcheck}
    if work in own:
        return own[work](**settings)
    return npgpt_gpt.prepare(work, **settings)


def _generate(size: str) -> Callable[[], Any]:
    config = GPT2Config.from_dict(SIZES[size][0])
    model = LanguageModel(config, init_params(config))

    def once() -> dict[str, int]:
        model.generate(np.zeros(1, np.int64), WRITTEN, seed=0, on_slide=lambda row: None)
        return {"per": WRITTEN}

    return once


def _evaluate(size: str) -> Callable[[], Any]:
    values, batch, length = SIZES[size]
    config = GPT2Config.from_dict(values)
    params = init_params(config)
    draws = np.random.default_rng(0).integers(0, config.vocab_size, (BATCHES, 2, batch, length))

    def once() -> dict[str, int]:
        mean_loss(params, config, iter(draws), ops=FAST,
                  workers=batches_at_a_time(config, batch, length))
        return {"per": BATCHES}

    return once


def _gradcheck() -> Callable[[], Any]:
    def once() -> None:
        for report in islice(check_models("fast"), CHECKED):
            assert report.ok

    return once
