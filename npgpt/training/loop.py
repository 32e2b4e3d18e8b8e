"""The training loop: batch, gradients, update, and what is written along the way.

    RUN/config.toml     the resolved settings
    RUN/log.jsonl       step, loss, learning rate, gradient norm, tokens per second, at times val;
                        at watched steps `watch`, what was seen, and watch_seconds, its cost
    RUN/checkpoints/    the newest few, and that of the lowest held-out loss, see `checkpoint`
    RUN/samples/        text written on the way
    RUN/result.json     step, loss over all held-out text; once the run has finished
    RUN/.lock           held while a process trains, see `files.locked`

Step N is the state after N updates. A run continued from a checkpoint equals one that was never
interrupted, bit for bit, on the same machine with the same number of threads.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np

from ..checked import checked
from ..documents import Json
from ..evaluation.text import Stopped, count_targets, evaluation_batches, mean_loss
from ..files import aside, locked, pinned, remove_partial, write_text
from ..machine.memory import check_memory
from ..machine.threads import using
from ..params import Params
from ..text import Corpus
from .checkpoint import FOLDER as CHECKPOINTS
from .checkpoint import best_checkpoint, save_checkpoint, set_aside_newer, trained_of
from .curves import plot
from .frozen import frozen_names
from .held_out import HeldOutLoss
from .initial import initial_params
from .log import FILE as LOG_FILE
from .log import RunLog, Step, cut_log, plain, read_lines, steps_of
from .samples import write_sample
from .settings import RunConfig
from .state import TrainingState
from .step.adamw import zero_moments
from .step.gradients import batches_at_a_time, choose_shards
from .step.memory import peak_memory
from .step.workers import Workers
from .tasks import check_length, first_prompt
from .update import Diverged, train_step
from .watch import TrainingWatch

CONFIG_FILE = "config.toml"
# a worker process takes a fifth of a second to start
FOR_WORKERS = 20
RESULT_FILE = "result.json"


class FolderGone(OSError):
    """The run folder was renamed, deleted or replaced; the message says where the state is."""


class Reporter:
    """What a loop reports while it runs: nothing, but for the methods that are overridden."""

    def step(self, record: dict[str, object]) -> None:
        """A step is done; `record` is its line of the log."""

    def sample(self, step: int, text: str) -> None:
        """A sample was written."""

    def evaluating(self, seen: int, total: int) -> None:
        """The evaluation after the last step has seen so many tokens of `total`."""

    def note(self, text: str) -> None:
        """Something that the user should know."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    reason: str
    """finished, out of patience, interrupted or out of time."""
    step: int
    val_loss: float | None
    """Over the whole held-out split, in nats per token; None if there was no time for it."""
    checkpoint: Path
    best: Path | None = None
    """The checkpoint of the lowest held-out loss, or the newest before it."""
    warning: str = ""
    """That probes took too much of the time, and what would take less; "" if they did not."""

    def _repr_html_(self) -> str | None:
        """The run's curves, for a notebook."""
        try:
            return plot(self.checkpoint)._repr_html_()
        except (OSError, ValueError):
            return None


@checked
def new_state(run: RunConfig, corpus: Corpus, ranks: int = 1) -> TrainingState:
    """Step 0: parameters freshly drawn, or those of `init_from`, and empty moments.

    Raises ValueError where the machine has not the memory that a step needs, its batch shared by so
    many `ranks`, and for another config or tokenizer than those of `init_from`; CheckpointError
    where that cannot be read.
    """
    config = run.model_config(corpus.tokenizer.vocab_size)
    rows = -(-run.train.batch_size // ranks)
    check_memory(peak_memory(config, rows, run.sequence_length, workers=0,
                             dtype=run.train.dtype, recompute=run.train.recompute,
                             frozen=frozen_names(run, config)),
                 f"a step of {rows} x {run.sequence_length} tokens")
    params = initial_params(run, config, corpus.tokenizer)
    m, v = (zero_moments(trained_of(run, config, params)) for _ in range(2))
    return TrainingState(0, config, params, m, v, run, corpus.tokenizer, corpus.fingerprint)


@checked
def train(
    run_folder: Path | str,
    state: TrainingState,
    corpus: Corpus,
    reporter: Reporter = Reporter(),
    should_stop: Callable[[], bool] = lambda: False,
    *, held: bool = False,
    on_step: Callable[[Step], object] | None = None,
) -> Outcome:
    """Train `state` to its last step, in place, writing to run_folder.

    `should_stop` is asked after every step, and while samples and the last evaluation go on; True,
    from then on, saves and ends the run early. `held` says that the caller has `files.locked` the
    folder. `on_step` is called with every Step once it is in the log; what it raises ends the run,
    which continues from its newest checkpoint. Raises Diverged, CorpusError for a text too short,
    InUse (a ValueError) if another process trains in run_folder, FolderGone if that is renamed,
    deleted or replaced, and OSError where nothing can be written.
    """
    run_folder = Path(run_folder)
    check_length(state.run, corpus)
    run_folder.mkdir(parents=True, exist_ok=True)
    with nullcontext() if held else locked(run_folder), pinned(run_folder) as folder_stays:
        remove_partial(run_folder / CHECKPOINTS)
        write_text(run_folder / CONFIG_FILE, state.run.to_toml())
        # a longer run has another result
        (run_folder / RESULT_FILE).unlink(missing_ok=True)
        newer = set_aside_newer(run_folder, state.step)
        # a run that starts again at step 0 writes that step's record again
        if note := cut_log(run_folder, state.step or -1, keep=newer):
            reporter.note(note)
        # the log too: where all that was in the folder is deleted, it may itself remain
        with RunLog(run_folder) as log, pinned(log.path) as log_stays:
            def in_place() -> bool:
                return folder_stays() and log_stays()

            try:
                return _train(run_folder, state, corpus, reporter, should_stop, log, in_place,
                              on_step)
            except OSError:
                if in_place():
                    raise
                raise FolderGone(_saved_elsewhere(run_folder, state, log)) from None


def _saved_elsewhere(run_folder: Path, state: TrainingState, log: RunLog) -> str:
    """Save a run whose folder is gone under another name; returns what happened, and where it is.

    The folder that may now have the name is another's.
    """
    what = f"{run_folder} was renamed, deleted or replaced while the run went on"
    place = aside(run_folder)
    try:
        save_checkpoint(place, state)
        write_text(place / CONFIG_FILE, state.run.to_toml())
        write_text(place / LOG_FILE, log.text())
    except OSError as error:
        return f"{what}; the state after step {state.step} cannot be saved as {place}: {error}"
    return (f"{what}; the state after step {state.step} is saved; continue with "
            f"npgpt train --resume {place}")


def _train(
    run_folder: Path, state: TrainingState, corpus: Corpus, reporter: Reporter,
    should_stop: Callable[[], bool], log: RunLog, in_place: Callable[[], bool],
    on_step: Callable[[Step], object] | None,
) -> Outcome:
    settings = state.run.train
    held_out = HeldOutLoss(steps_of(read_lines(run_folder / LOG_FILE)))
    deadline = time.monotonic() + 60.0 * (settings.max_minutes or math.inf)
    watch = TrainingWatch(state, corpus.val)

    def check_place() -> None:
        if not in_place():
            raise FolderGone(str(run_folder))

    def save() -> Path:
        check_place()
        return _save(run_folder, state, log, held_out.step)

    def done(record: Json, before: Params | None) -> None:
        if settings.watches(state.step):
            record |= watch(state, before)
        if _due(state, settings.eval_every):
            record["val"] = evaluate(state, corpus, settings.eval_batches)
        log.write(record)
        check_place()
        reporter.step(record)
        if "val" in record and held_out.rises(state.step, record["val"]) and not settings.patience:
            reporter.note(held_out.report(run_folder))
        step = Step.of(record)
        if on_step is not None and step is not None:
            on_step(step)
        if state.step and settings.sample_every and _due(state, settings.sample_every):
            check_place()
            if not state.config.n_labels:
                sample = write_sample(run_folder, state, should_stop, first_prompt(corpus))
                if sample is not None:
                    reporter.sample(state.step, sample)

    def outcome(reason: str, val_loss: float | None = None) -> Outcome:
        warning = watch.warning()
        if warning:
            log.write({"step": state.step, "watch_share": round(watch.fraction, 3)})
        return Outcome(reason, state.step, val_loss, checkpoint,
                       best_checkpoint(run_folder, held_out.step), warning)

    def on_batch(seen: int) -> bool:
        reporter.evaluating(seen, count_targets(corpus.val))
        return should_stop() or time.monotonic() > deadline

    with workers_for(state) as workers:
        if state.step == 0:
            done({"step": 0}, None)
        checkpoint = save()
        while state.step < settings.max_steps and not held_out.exhausts(settings.patience):
            due = settings.watches(state.step + 1)
            before = {n: a.copy() for n, a in state.params.items()} if due else None
            done(train_step(state, corpus.train, log, workers), before)
            late = time.monotonic() > deadline and state.step < settings.max_steps
            reason = "interrupted" if should_stop() else "out of time" if late else ""
            best = settings.patience and held_out.step == state.step
            if reason or best or _due(state, settings.checkpoint_every):
                checkpoint = save()
            if reason:
                return outcome(reason)
        checkpoint = save()
    try:
        val = evaluate(state, corpus, on_batch=on_batch)
    except Stopped:
        val = None
    check_place()
    if val is not None:
        result = json.dumps(plain({"step": state.step, "val_loss": val}))
        write_text(run_folder / RESULT_FILE, f"{result}\n")
    return outcome("finished" if state.step >= settings.max_steps else "out of patience", val)


def _due(state: TrainingState, every: int) -> bool:
    """Whether the step just done is a multiple of `every`, or the run's last."""
    return state.step % every == 0 or state.step == state.run.train.max_steps


def workers_for(state: TrainingState) -> Workers:
    """Worker processes, if a batch goes in shards and enough steps remain to start some for."""
    settings = state.run.train
    with using(settings.threads or None):
        shards = choose_shards(state.config, len(state.rows), state.run.sequence_length)
    return Workers(shards - 1 if settings.max_steps - state.step >= FOR_WORKERS else 0)


def evaluate(
    state: TrainingState, corpus: Corpus, n_batches: int = 0,
    on_batch: Callable[[int], bool] | None = None,
) -> float:
    """Loss in nats per token on held-out text; 0 batches means all of it, see `mean_loss`."""
    settings, length = state.run.train, state.run.sequence_length
    batches = evaluation_batches(corpus.val, settings.batch_size, length, n_batches)
    team = state.team
    together = team.command("evaluate", n_batches, on_batch is not None) if team else nullcontext()
    with using(settings.threads or None), together:
        return mean_loss(
            state.params, state.config, batches, ops=state.ops,
            workers=batches_at_a_time(state.config, settings.batch_size, length),
            ranks=team.ranks if team else None,
            on_batch=team.stopping_all(on_batch) if team and on_batch else on_batch,
        )


def _save(run_folder: Path, state: TrainingState, log: RunLog, best: int) -> Path:
    # finite gradients can carry a parameter to infinity: that must not replace good ones
    for name, array in state.params.items():
        if not np.isfinite(array).all():
            raise Diverged(f"step {state.step}: the update left {name} with NaN or infinity")
    log.flush_to_disk()
    return save_checkpoint(run_folder, state, best)
