"""Samples: text that the model writes as it stands, so that one can watch it learn.

    RUN/samples/step-00000500.txt       what it wrote after so many steps
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Sequence

import numpy as np

from ..generation import LanguageModel
from ..machine.threads import using
from .state import TrainingState

FOLDER = "samples"


def write_sample(
    run_folder: Path, state: TrainingState, should_stop: Callable[[], bool] = lambda: False,
    prompt: Sequence[int] = (),
) -> str | None:
    """Text from the beginning of a document, or a prompt and its answer; written to a file too.

    `should_stop` is asked after every token; True ends it, with None and no file.
    """
    seed = np.random.SeedSequence([state.run.train.seed, state.step]).generate_state(1)[0]
    ids, end = list(prompt), state.tokenizer.first_id
    with using(state.run.train.threads or None):
        for token in LanguageModel(state.config, state.params, state.ops).stream(
                np.array(ids or [end]), state.run.train.sample_tokens,
                temperature=0.8, seed=int(seed), on_slide=lambda row: None):
            if should_stop():
                return None
            if prompt and token.id == end:
                break           # the rest is not part of the answer
            ids.append(token.id)
    text = state.tokenizer.decode(ids)
    folder = run_folder / FOLDER
    folder.mkdir(exist_ok=True)
    (folder / f"step-{state.step:08d}.txt").write_text(text, encoding="utf-8")
    return text
