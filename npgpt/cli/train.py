"""npgpt train: train a model on text, or continue a run."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from ..config import GPT2Config
from ..training.settings import (
    DERIVED,
    PRESETS,
    DataSettings,
    RunConfig,
    TrainSettings,
    read_toml,
    resolve,
)

EPILOG = """\
Settings come from a preset, then a TOML file, then flags; the later wins. The file
has the tables [data], [model] and [train], with the names of the flags, - as _.

examples:
  npgpt train                                   two minutes on Python's own documentation
  npgpt train --preset shakespeare-char         nanoGPT's recipe for a CPU
  npgpt train --corpus my-texts/ --n-layer 6 --n-embd 192 --n-head 6
  npgpt train --resume runs/python-docs         continue where it stopped

exit codes: 0 done, 2 a setting does not fit, 3 a file cannot be read or written,
4 diverged (the last good checkpoint is kept), 130 interrupted (after saving)
"""


def add_parser(subparsers: Any) -> None:
    """Declare the verb and one flag per setting."""
    parser = subparsers.add_parser(
        "train", help="train a model on text, or continue a run", epilog=EPILOG,
        description="Train a GPT-2 on text with hand-written gradients.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--preset", help=f"one of {', '.join(PRESETS)} (default python-docs)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as a TOML file")
    parser.add_argument("--out", type=Path, metavar="DIR",
                        help="the run folder (default: a new folder in runs/)")
    parser.add_argument("--resume", type=Path, metavar="RUN",
                        help="continue this run; only --max-steps, --max-minutes, --threads may "
                             "be changed")
    for title, kind in (("text", DataSettings), ("model", GPT2Config), ("training", TrainSettings)):
        group = parser.add_argument_group(title)
        for field in dataclasses.fields(kind):
            if field.name not in DERIVED:
                _add_flag(group, field)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and tell what came out and what to try next."""
    from ..text import load_corpus
    from ..training import Outcome, train
    from .progress import Progress

    flags = {name: getattr(args, name) for kind in (DataSettings, GPT2Config, TrainSettings)
             for name in (f.name for f in dataclasses.fields(kind))
             if getattr(args, name, None) is not None}
    folder, state, run_config = _start(args, flags)
    if run_config.train.threads:
        from ..fast.threads import set_threads

        set_threads(run_config.train.threads)
    tokenizer = run_config.data.tokenizer if state is None else state.tokenizer
    corpus = load_corpus(run_config.data.corpus, tokenizer, run_config.data.val_fraction,
                         say=lambda note: print(f"npgpt: {note}", file=sys.stderr))
    if state is None:
        from ..training.loop import new_state

        state = new_state(run_config, corpus)
    elif state.corpus_fingerprint != corpus.fingerprint:
        raise ValueError(
            f"the text of {run_config.data.corpus!r} is not the one this run was trained on; "
            f"restore it, or start a new run"
        )
    n_parameters = sum(array.size for array in state.params.values())
    say = print
    unigram = corpus.unigram_entropy()
    say(f"corpus     {corpus.name}")
    say(f"tokens     {len(corpus.train):,} to train on, {len(corpus.val):,} held back; "
        f"{corpus.tokenizer.vocab_size:,} kinds ({corpus.tokenizer.name})")
    say(f"unigram    {unigram:.4f} nats per token: what counting tokens alone reaches")
    say(f"model      {n_parameters:,} parameters, {state.config.n_layer} layers x "
        f"{state.config.n_embd} channels, context {state.config.n_positions}")
    resumed = f", from step {state.step:,}" if state.step else ""
    say(f"run        {folder}, {run_config.train.max_steps:,} steps{resumed}", flush=True)

    started = time.monotonic()
    with Interruption() as interruption, Progress(run_config.train, state.step) as progress:
        outcome: Outcome = train(folder, state, corpus, progress, interruption.happened)
    minutes = (time.monotonic() - started) / 60.0
    if outcome.reason != "finished":
        say(f"{outcome.reason} at step {outcome.step:,} after {minutes:.1f} minutes; saved. "
            f"Continue with: npgpt train --resume {folder}")
        return 130 if outcome.reason == "interrupted" else 0
    say(f"\ndone       {outcome.step:,} steps in {minutes:.1f} minutes")
    say(f"val loss   {outcome.val_loss:.4f} nats per token on all held-back text; "
        f"unigram {unigram:.4f}")
    say(f"model      {outcome.checkpoint}")
    say(f'try        npgpt generate {folder} "The "')
    return 0


class Interruption:
    """Ctrl-C or a polite kill asks the loop to save and stop; a second one stops at once."""

    def __init__(self) -> None:
        self._asked = False
        self._previous: dict[int, Any] = {}

    def happened(self) -> bool:
        """Whether a signal came."""
        return self._asked

    def __enter__(self) -> Interruption:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        print("\nnpgpt: saving after this step; once more to stop without", file=sys.stderr)


_CHANGEABLE = ("max_steps", "max_minutes", "threads")


def _start(args: argparse.Namespace, flags: dict[str, Any]) -> tuple[Path, Any, RunConfig]:
    from ..training.checkpoint import checkpoints, load_checkpoint
    from ..training.loop import CONFIG_FILE
    from ..training.settings import build

    if args.resume is None:
        run_config = resolve(args.preset, args.config, flags)
        return _new_folder(args.out, run_config), None, run_config
    for option in ("preset", "config", "out"):
        if getattr(args, option) is not None:
            raise ValueError(f"--{option} does not go with --resume: the run keeps its settings")
    fixed = [name for name in flags if name not in _CHANGEABLE]
    if fixed:
        raise ValueError(
            f"--{fixed[0].replace('_', '-')} cannot be changed on resuming, only "
            f"{', '.join('--' + name.replace('_', '-') for name in _CHANGEABLE)}"
        )
    folder = args.resume
    if not folder.is_dir():
        raise ValueError(f"{folder} is no run folder; npgpt train writes one")
    if not checkpoints(folder) and (folder / CONFIG_FILE).is_file():
        # killed before its first checkpoint: nothing was learned, the settings are there
        tables = read_toml(folder / CONFIG_FILE)
        tables["train"].update(flags)
        return folder, None, build(tables)
    state = load_checkpoint(folder)
    tables = state.run.to_dict()
    # decay_steps = 0 means max_steps: a longer run must not bend the curve already walked
    tables["train"]["decay_steps"] = state.run.train.decay_steps or state.run.train.max_steps
    tables["train"].update(flags)
    if "max_steps" not in flags:
        tables["train"]["decay_steps"] = state.run.train.decay_steps
    state.run = build(tables)
    return folder, state, state.run


def _new_folder(out: Path | None, run_config: RunConfig) -> Path:
    from ..training.checkpoint import checkpoints

    if out is not None:
        if checkpoints(out):
            raise ValueError(f"{out} holds a run already; continue it with --resume {out}, "
                             f"or choose another --out")
        return out
    name = Path(run_config.data.corpus).name or "run"
    base = Path("runs") / name
    folder, n = base, 2
    while folder.exists():
        folder, n = base.with_name(f"{name}-{n}"), n + 1
    return folder


def _add_flag(group: Any, field: dataclasses.Field[Any]) -> None:
    flag = "--" + field.name.replace("_", "-")
    default = field.default
    if isinstance(default, bool):
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None)
    else:
        kind = int if field.name == "n_inner" else type(default)
        group.add_argument(flag, type=kind, metavar=kind.__name__.upper(), default=None,
                           help=f"(default {default})")
