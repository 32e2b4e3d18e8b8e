"""npgpt train: train a model on text, or continue a run."""

from __future__ import annotations

import argparse
import dataclasses
import errno
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from ..config import ACTIVATIONS, SLOPES, GPT2Config
from ..training.settings import (
    DEFAULT_PRESET,
    DERIVED,
    PRESETS,
    DataSettings,
    RunConfig,
    TrainSettings,
    read_toml,
    resolve,
    table_fields,
)
from .parser import seed_number, use_threads

EPILOG = """\
Settings come from a preset, then a TOML file, then flags; the later wins. The
file has the tables [data], [model] and [train], with the names of the flags,
- as _.

examples:
  npgpt train                              two minutes on Python's documentation
  npgpt train --preset shakespeare-char    nanoGPT's recipe for a CPU
  npgpt train --corpus my-texts/ --n-layer 6 --n-embd 192 --n-head 6
  npgpt train --resume runs/python-docs    continue where it stopped
  npgpt train --watch entropy,gradients    look inside every 100 steps

exit codes: 0 done, 2 a setting does not fit, 3 a file cannot be read or
written, 4 diverged (the last good checkpoint is kept), 130 interrupted (after
saving)
"""


def add_parser(subparsers: Any) -> None:
    """Declare the verb and one flag per setting."""
    parser = subparsers.add_parser(
        "train", help="train a model on text, or continue a run", epilog=EPILOG,
        usage="npgpt train [--preset NAME] [--config FILE] [--resume RUN] [options]",
        description="Train a GPT-2 on text with hand-written gradients.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--preset", help=f"one of {', '.join(PRESETS)} (default python-docs)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as a TOML file")
    parser.add_argument("--out", type=Path, metavar="DIR",
                        help="the run folder (default: a new folder in runs/)")
    parser.add_argument("--resume", type=Path, metavar="RUN",
                        help="continue this run; only --max-steps, --max-minutes, --threads, "
                             "--recompute may be changed")
    defaults = resolve().to_dict()
    for table, kind in (("data", DataSettings), ("model", GPT2Config), ("train", TrainSettings)):
        group = parser.add_argument_group(f"{table} (defaults: those of {DEFAULT_PRESET})")
        for field in dataclasses.fields(kind):
            if field.name not in DERIVED:
                _add_flag(group, field, defaults[table].get(field.name))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and tell what came out and what to try next."""
    from ..training.loop import check_length, new_state

    flags = {name: getattr(args, name) for kind in (DataSettings, GPT2Config, TrainSettings)
             for name in (f.name for f in dataclasses.fields(kind))
             if getattr(args, name, None) is not None}
    folder, state, run_config = _start(args, flags)
    use_threads(run_config.train.threads)
    corpus = _corpus(run_config, state)
    check_length(run_config, corpus)
    if state is None:
        state = new_state(run_config, corpus)
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
    if run_config.train.warmup_steps >= run_config.train.max_steps:
        print(f"npgpt: --warmup-steps {run_config.train.warmup_steps:,} is no less than "
              f"--max-steps {run_config.train.max_steps:,}: the learning rate never reaches its "
              f"highest", file=sys.stderr)
    say(f"run        {folder}, {run_config.train.max_steps:,} steps{resumed}", flush=True)

    return _train(folder, state, corpus, unigram)


def _train(folder: Path, state: Any, corpus: Any, unigram: float) -> int:
    from ..training.loop import Diverged, train
    from .progress import Progress

    watch = None
    if state.run.train.watched:
        from ..training.watch import TrainingWatch

        watch = TrainingWatch(state, corpus.val)
    started = time.monotonic()
    with Interruption() as interruption, Progress(state.run.train, state.step) as progress:
        try:
            outcome = train(folder, state, corpus, progress, interruption.happened, watch)
        except Diverged as error:
            raise Diverged(f"{error}; {_kept(folder)}; a lower --learning-rate may help") from None
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; {_kept(folder)}", str(folder)) from None
    _tell_cost(folder, outcome.step, watch)
    seconds = time.monotonic() - started
    took = f"{seconds / 60:.1f} minutes" if seconds > 90 else f"{seconds:.0f} seconds"
    if outcome.reason != "finished":
        print(f"{outcome.reason} at step {outcome.step:,} after {took}; saved.\n"
              f"continue   npgpt train --resume {folder}")
        return 130 if outcome.reason == "interrupted" else 0
    print(f"\ndone       {outcome.step:,} steps in {took}")
    if outcome.val_loss is None:
        print(f"val loss   not evaluated to the end; npgpt eval {folder} does it")
    else:
        print(f"val loss   {outcome.val_loss:.4f} nats per token on all held-back text; "
              f"unigram {unigram:.4f}")
    print(f"model      {outcome.checkpoint}")
    print(f'try        npgpt generate {folder} "The "')
    return 130 if interruption.happened() else 0


def _tell_cost(folder: Path, step: int, watch: Any) -> None:
    """Say, here and in the log, if looking took too much of the run's time."""
    from ..training.log import RunLog

    warning = watch.warning() if watch is not None else ""
    if warning:
        print(f"npgpt: {warning}", file=sys.stderr)
        with RunLog(folder) as log:
            log.write({"step": step, "watch_share": round(watch.fraction, 3)})


def _corpus(run_config: RunConfig, state: Any) -> Any:
    """The run's text as tokens; on resuming it must be the very text the run began with."""
    from ..text import CorpusError, load_corpus

    data = run_config.data
    changed = f"has {data.corpus} changed since the run began? restore it, or start a new run"
    try:
        corpus = load_corpus(data.corpus, data.tokenizer if state is None else state.tokenizer,
                             data.val_fraction,
                             say=lambda note: print(f"npgpt: {note}", file=sys.stderr))
    except CorpusError as error:
        raise CorpusError(str(error) if state is None else f"{error}; {changed}") from None
    if state is not None and state.corpus_fingerprint != corpus.fingerprint:
        raise CorpusError(f"this is not the text that the run was trained on; {changed}")
    return corpus


def _kept(folder: Path) -> str:
    from ..training.checkpoint import checkpoints

    whole = checkpoints(folder)
    return f"the last whole checkpoint is {whole[-1]}" if whole else "no checkpoint was written yet"


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


_CHANGEABLE = ("max_steps", "max_minutes", "threads", "recompute")


def _start(args: argparse.Namespace, flags: dict[str, Any]) -> tuple[Path, Any, RunConfig]:
    from ..text import CORPORA
    from ..training.checkpoint import FOLDER, RUN_FILE, is_run
    from ..training.lock import only_writer
    from ..training.loop import CONFIG_FILE

    if args.resume is None:
        run_config = resolve(args.preset, args.config, flags)
        path = Path(run_config.data.corpus)
        if run_config.data.corpus not in CORPORA and path.exists():
            # absolute: the run must find its text from any folder
            run_config = dataclasses.replace(run_config, data=dataclasses.replace(
                run_config.data, corpus=str(path.resolve())))
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
    folder, given = args.resume, args.resume
    if not is_run(given) and not (given / CONFIG_FILE).is_file():
        raise ValueError(f"{given} is no run folder; npgpt train writes one")
    if (given / RUN_FILE).is_file():
        # one checkpoint of a run, perhaps not its newest: go on from there, in the run's folder
        folder = given.absolute().parent.parent
        if given.absolute().parent.name != FOLDER:
            raise ValueError(f"{given} is a checkpoint outside of its run folder; put it into a "
                             f"folder {FOLDER} of a run")
    # `train` holds the folder too; here it is asked before any work, and before any word
    with only_writer(folder):
        return (folder, *_state(given, flags))


def _state(given: Path, flags: dict[str, Any]) -> tuple[Any, RunConfig]:
    """Where a run stands, and its settings with the flags that may change them."""
    from ..training.checkpoint import checkpoints, load_checkpoint
    from ..training.loop import CONFIG_FILE
    from ..training.settings import build

    if not checkpoints(given) and (given / CONFIG_FILE).is_file():
        # killed before its first checkpoint: nothing was learned, the settings are there
        tables = read_toml(given / CONFIG_FILE)
        for table in table_fields():
            if table not in tables:
                raise ValueError(f"{given / CONFIG_FILE}: the table [{table}] is missing")
        tables["train"].update(flags)
        return None, build(tables)
    state = load_checkpoint(given)
    if flags.get("max_steps", state.step) < state.step:
        raise ValueError(f"--max-steps {flags['max_steps']} is behind step {state.step}, where "
                         f"this run stands")
    tables = state.run.to_dict()
    # decay_steps = 0 means max_steps: a longer run must not bend the curve already walked
    tables["train"]["decay_steps"] = state.run.train.decay_steps or state.run.train.max_steps
    tables["train"].update(flags)
    if "max_steps" not in flags:
        tables["train"]["decay_steps"] = state.run.train.decay_steps
    state.run = build(tables)
    return state, state.run


def _new_folder(out: Path | None, run_config: RunConfig) -> Path:
    from ..training.checkpoint import checkpoints

    if out is not None:
        if out.exists() and not out.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "no folder; name another place", str(out))
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


MODEL_HELP = {
    "n_positions": "The context, in tokens",
    "n_embd": "Channels",
    "n_layer": "Blocks",
    "n_head": "Attention heads; must divide n_embd",
    "n_inner": "Width of the feed-forward network; left out, 4 * n_embd",
    "activation_function": ", ".join(ACTIVATIONS),
    "layer_norm_epsilon": "Added to the variance",
    "resid_pdrop": "Dropout on what blocks add to the stream",
    "embd_pdrop": "Dropout on the embeddings",
    "attn_pdrop": "Dropout on the attention weights",
    "initializer_range": "Standard deviation of the initial weights",
    "tie_word_embeddings": "Use the token table as the output matrix too",
    "norm": "layernorm, or none: blocks without LayerNorm",
    "final_norm": "A LayerNorm after the last block",
    "qkv_bias": "Biases on queries, keys and values",
    "scale_residual_init": "Start both c_proj smaller, by 1 / sqrt(2 * n_layer)",
    "leaky_slope": f"Of leaky_relu: {', '.join(SLOPES)}; learned per layer, once for all, or not",
    "slope_init": "Its first value; with fixed, its value",
    "slope_decay": "Weight decay on learned slopes too",
    "frozen_biases": "No biases but those of queries and keys: the others stay zeros",
    "weight_norm": "Blocks' linear weights as gain * v / |v|",
    "entropy_penalty": "Adds this times what attention far from its target entropy costs to the "
                       "training loss; 0 adds nothing",
    "entropy_tolerance": "How far is not far yet, as a share of the greatest entropy",
    "entropy_target": "Every head's first target, likewise; it is learned",
}


def _add_flag(group: Any, field: dataclasses.Field[Any], default: Any) -> None:
    flag = "--" + field.name.replace("_", "-")
    meaning = field.metadata.get("help") or MODEL_HELP[field.name]
    meaning += "" if default is None else f" (default {default})"
    if isinstance(field.default, bool):
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=meaning)
    else:
        kind = int if field.name == "n_inner" else type(field.default)
        group.add_argument(flag, type=seed_number if field.name == "seed" else kind,
                           metavar=kind.__name__.upper(), default=None, help=meaning)
