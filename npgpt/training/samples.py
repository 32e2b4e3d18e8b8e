"""Samples: text that the model writes as it stands, so that one can watch it learn.

    RUN/samples/step-00000500.txt       what it wrote after so many steps
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import numpy as np

from ..generation import LanguageModel
from ..machine.threads import using
from .state import TrainingState

FOLDER = "samples"


def write_sample(
    run_folder: Path, state: TrainingState, should_stop: Callable[[], bool] = lambda: False
) -> str | None:
    """Text from the beginning of a document, written to a file too.

    `should_stop` is asked after every token; True ends it, with None and no file.
    """
    seed = np.random.SeedSequence([state.run.train.seed, state.step]).generate_state(1)[0]
    ids: list[int] = []
    with using(state.run.train.threads or None):
        for token in LanguageModel(state.config, state.params, state.ops).stream(
                np.array([state.tokenizer.first_id]), state.run.train.sample_tokens,
                temperature=0.8, seed=int(seed), on_slide=lambda row: None):
            if should_stop():
                return None
            ids.append(token.id)
    text = state.tokenizer.decode(ids)
    folder = run_folder / FOLDER
    folder.mkdir(exist_ok=True)
    (folder / f"step-{state.step:08d}.txt").write_text(text, encoding="utf-8")
    return text
