"""npgpt train: train a model on text, or continue a run."""

from __future__ import annotations

import argparse
import dataclasses
import errno
import shlex
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Callable

from ..display.terminal import duration
from ..files import locked
from ..machine.ranks import Ranks
from ..text import Corpus, Tokenizer
from ..training.asked import check_asked, from_anywhere, tuning_defaults
from ..training.checkpoint import FOLDER, checkpoints, is_checkpoint, is_run, load_checkpoint
from ..training.exports import FORMATS, exported, exporting
from ..training.held_out import model_checkpoint
from ..training.initial import fitted
from ..training.log import Step
from ..training.loop import CONFIG_FILE, FolderGone, new_state, train
from ..training.progress import Progress
from ..training.settings import (
    CHANGEABLE,
    DEFAULT_PRESET,
    FINE_TUNING,
    LOW_RANK,
    PRESETS,
    RunConfig,
    Table,
    build,
    differences,
    read_toml,
    read_whole_toml,
    resolve,
    split_labels,
    table_fields,
)
from ..training.state import TrainingState
from ..training.tasks import accuracy, check_length, found_labels, load_again, load_task
from ..training.update import Diverged
from ..variants import settings as variant_settings
from .console import interruption, note
from .live import LiveProgress
from .options import add_base, add_setting, flags, use_base, use_threads
from .parser import Parser
from .ranked import over_ranks, prepare, share

DESCRIPTION = "Train a GPT-2 on text with hand-written gradients, or fine-tune one."
EPILOG = """\
Settings come from a preset, then a TOML file, then flags; the later wins. The
file has the tables [data], [model] and [train], with the names of the flags,
- as _.

examples:
  npgpt train                              two minutes on Python's documentation
  npgpt train --preset shakespeare-char    nanoGPT's recipe for a CPU
  npgpt train --corpus my-texts/ --n-layer 6 --n-embd 192 --n-head 6
  npgpt train --resume runs/python-docs    continue where it stopped
  npgpt train --from gpt2 --corpus my-texts/          fine-tune GPT-2
  npgpt train --from gpt2 --corpus my-texts/ --lora-rank 8 --lora-alpha 16
  npgpt train --watch entropy,gradients    log what happens inside
  npgpt train --live --log csv             the loss as a chart; log.csv
  mpiexec -n 4 npgpt train --mpi           over four processes, or machines

exit codes: 0 done, 2 a wrong setting, 3 a file cannot be read or written, 4
diverged (the last good checkpoint is kept), 130 interrupted (after saving)
"""


# with --preset, --out and --resume what one wants first; the others stand under their tables
FIRST = ("corpus", "tokenizer", "n_layer", "n_embd", "max_steps")

TUNING = ("freeze", "patience", "lora_rank", "lora_alpha", "lora_on", "task", "labels")


class _Once(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace,
                 values: object, option_string: str | None = None) -> None:
        before = getattr(namespace, self.dest)
        if before is not None:
            raise argparse.ArgumentError(self, f"got both {before} and {values}; expected one")
        setattr(namespace, self.dest, values)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments, one flag per setting."""
    parser.usage = "npgpt train [--preset NAME] [--from MODEL | --resume RUN] [options]"
    parser._optionals.title = "to begin with"
    parser.add_argument("--preset", metavar="NAME",
                        help=f"one of {', '.join(PRESETS)} (default {DEFAULT_PRESET}, or "
                             f"{FINE_TUNING} with --from, or {LOW_RANK} with --lora-rank too)")
    defaults, settings = resolve().to_dict(), table_fields()
    homes = {name: table for table, fields in settings.items() for name in fields}
    for name in FIRST:
        table = homes[name]
        add_setting(parser, name, settings[table].pop(name), defaults[table].get(name))
    parser.add_argument("--out", type=Path, metavar="FOLDER",
                        help="the run folder (default: a new folder in runs/)")
    parser.add_argument("--resume", type=Path, metavar="RUN",
                        help=f"continue this run; only {flags(CHANGEABLE)} may be changed")
    parser.add_argument_group("settings from a file").add_argument(
        "--config", type=Path, metavar="FILE", help="TOML, as a run's config.toml")
    given = parser.add_argument_group("to fine-tune a model", tuning_defaults(77))
    given.add_argument("--from", "--init-from", dest="init_from", metavar="MODEL", action=_Once,
                       help=settings["train"].pop("init_from").metadata["help"])
    add_base(given)
    for name in TUNING:
        table = homes[name]
        add_setting(given, name, settings[table].pop(name), defaults[table].get(name))
    for table, fields in settings.items():
        group = parser.add_argument_group(f"more of {table} (defaults: those of {DEFAULT_PRESET})")
        variants = parser.add_argument_group("variants of the model, for studies") if (
            table == "model") else group
        for name, field in fields.items():
            add_setting(variants if name in variant_settings() else group, name, field,
                        defaults[table].get(name))
    parser.add_argument_group("more than one machine (see npgpt/training/README.md)").add_argument(
        "--mpi", action="store_true",
        help="split every batch over the ranks of mpiexec or srun")
    curves = parser.add_argument_group("curves (npgpt plot RUN draws all of them)")
    curves.add_argument("--live", action="store_true",
                        help="draw the loss while the run goes on, in a terminal")
    curves.add_argument("--log", metavar="FORMATS", default="",
                        help=f"write each step in other formats too, separated by commas: "
                             f"{', '.join(FORMATS)}")


# where GPT-2's vocabulary is more than this of a model, and the text has fewer tokens for each of
# its ids, a model of its own vocabulary learns more
MOST_ROWS, FEW_TOKENS = 0.5, 100


def run(args: argparse.Namespace) -> int:
    """Train; print what is learned from, how it goes, and what came out."""
    return over_ranks(args, _run) if args.mpi else _run(args, None)


def _run(args: argparse.Namespace, ranks: Ranks | None) -> int:
    given = {name: getattr(args, name) for fields in table_fields().values() for name in fields
             if getattr(args, name) is not None}
    with ExitStack() as stack:
        stack.enter_context(use_base(args.base, args.resume or args.init_from))
        if args.resume is None:
            settings, tokenizer = _new_settings(args, given)
            state = None
            folder = _new_folder(args.out, settings)
        else:
            folder = _resumed_folder(args, given)
            # from before the state is read: nobody else goes on from it meanwhile
            stack.enter_context(locked(folder))
            settings, state = _resumed(args, given, folder)
            tokenizer = state.tokenizer if state else _begun(settings, {})[1]
        use_threads(settings.train.threads)
        if ranks:
            prepare(ranks, settings)
        corpus = _corpus(settings, state, tokenizer)
        check_length(settings, corpus)
        if state is None:
            state = new_state(settings, corpus, ranks.size if ranks else 1)
        on_step = stack.enter_context(exporting(folder, _formats(args.log, folder)))
        _print_beginning(folder, state, corpus)
        if ranks:
            share(ranks, state, corpus)
        if args.preset == "gpt2" and not settings.train.init_from:
            note("the preset gpt2 trains from scratch; --from gpt2 goes on from the published "
                 "weights")
        return _train(folder, state, corpus, on_step, args.live, held=args.resume is not None)


def _print_beginning(folder: Path, state: TrainingState, corpus: Corpus) -> None:
    n_parameters = sum(array.size for array in state.params.values())
    config, settings = state.config, state.run.train
    print(f"corpus     {corpus.name}")
    task = state.run.data.task
    print(f"{'tokens' if task == 'text' else 'examples':<10} {len(corpus.train):,} to train on, "
          f"{len(corpus.val):,} held out; "
          f"vocabulary of {corpus.tokenizer.vocab_size:,} ({corpus.tokenizer.name})")
    if task == "text":
        print(f"unigram    {corpus.unigram_entropy():.4f} nats per token: the loss of token "
              f"frequencies alone")
    if config.n_labels:
        print(f"labels     {', '.join(split_labels(state.run.data.labels))}")
    print(f"model      {n_parameters:,} parameters, {config.n_layer} layers x "
          f"{config.n_embd} channels, context {config.n_positions}")
    if state.frozen:
        n_trained = sum(array.size for array in state.trained.values())
        print(f"trained    {n_trained:,} of them, {100 * n_trained / n_parameters:.2f} %")
    resumed = f", from step {state.step:,}" if state.step else ""
    if settings.init_from and not state.step:
        print(f"begins as  {settings.init_from}")
    print(f"run        {folder}, {settings.max_steps:,} steps{resumed}")
    if 0 < settings.decay_steps < settings.max_steps:
        print(f"rate       stays at {settings.min_learning_rate:g} from step "
              f"{settings.decay_steps:,} on, where its decay ends")
    sys.stdout.flush()
    rows = state.params["wte.weight"].size / n_parameters
    if (corpus.tokenizer.name == "gpt2" and not settings.init_from and rows > MOST_ROWS
            and len(corpus.train) < FEW_TOKENS * config.vocab_size):
        note(f"{rows:.0%} of the parameters are rows of GPT-2's vocabulary, and the text has few "
             "tokens to learn them from; --tokenizer bpe:1024 learns a vocabulary from the text")
    if settings.warmup_steps >= settings.max_steps:
        note(f"--warmup-steps {settings.warmup_steps:,} is not below --max-steps "
             f"{settings.max_steps:,}: the learning rate never reaches its maximum")


def _formats(given: str, folder: Path) -> list[str]:
    """What --log names, and what the run was written in before: it would be left behind."""
    names = [name.strip() for name in given.split(",") if name.strip()]
    for name in {*exported(folder)}.difference(names):
        try:
            with exporting(folder, [name]):
                names.append(name)
        except ImportError as error:
            note(f"{folder / name} does not grow: {error}")
    return names


def _train(folder: Path, state: TrainingState, corpus: Corpus, on_step: Callable[[Step], None],
           live: bool, held: bool) -> int:
    started, shown = time.monotonic(), (state.run.train, state.step)
    with interruption() as asked, (
            LiveProgress(*shown, folder, asked) if live else Progress(*shown)) as progress:
        happened = state.team.listen(asked) if state.team else asked
        try:
            outcome = train(folder, state, corpus, progress, happened, held=held, on_step=on_step)
        except Diverged as error:
            raise Diverged(f"{error}; {_saved(folder)}; a lower --learning-rate may help") from None
        except FolderGone:
            raise
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; {_saved(folder)}", str(folder)) from None
    took, named = duration(time.monotonic() - started), shlex.quote(str(folder))
    if outcome.warning:
        note(outcome.warning)
    if outcome.reason not in ("finished", "out of patience"):
        print(f"{outcome.reason} at step {outcome.step:,} after {took}; saved.\n"
              f"continue   npgpt train --resume {named}\ncurves     npgpt plot {named}")
        return 130 if outcome.reason == "interrupted" else 0
    print(f"\ndone       {outcome.step:,} steps in {took}")
    if outcome.reason == "out of patience":
        n = state.run.train.patience
        last = f"last {n} evaluations were" if n > 1 else "last evaluation was"
        print(f"stopped    the {last} above the lowest")
    model = model_checkpoint(folder)
    if outcome.val_loss is None:
        print(f"val loss   not evaluated to the end; npgpt eval {named} does it")
    else:
        of = "token on all held-out text" if state.run.data.task == "text" else (
            "label" if state.config.n_labels else "token of the held-out answers")
        where = "" if model == outcome.checkpoint else f", after the last step, {outcome.step:,}"
        print(f"val loss   {outcome.val_loss:.4f} nats per {of}{where}")
    if state.config.n_labels:
        right = accuracy(state.params, state.config, corpus.val, state.ops, should_stop=happened)
        if right is not None:
            print(f"accuracy   {right:.1%} of the {len(corpus.val):,} held-out texts")
    print(f"model      {model}{'' if model == outcome.checkpoint else ', the best'}")
    print(f"curves     npgpt plot {named}")
    if not state.config.n_labels:
        print(f"try        npgpt generate {named}{_prompt(corpus, state.run.data.task)}")
    return 130 if happened() else 0


def _prompt(corpus: Corpus, task: str) -> str:
    """A prompt to try: the first words of the held-out text, or an instruction."""
    if task == "instruct":
        return ' --instruct "Name three colours."'
    words = corpus.tokenizer.decode(corpus.val[:40].astype(int)).split()[1:3]
    return f" {shlex.quote(' '.join(words))}" if words else ""


def _saved(folder: Path) -> str:
    found = checkpoints(folder)
    return f"the newest checkpoint is {found[-1]}" if found else "no checkpoint was written yet"


def _corpus(settings: RunConfig, state: TrainingState | None, tokenizer: Tokenizer | str) -> Corpus:
    """The run's text as tokens; on resuming it must be the very text that the run began with."""
    data = settings.data
    if state is None:
        return load_task(data, tokenizer, settings.sequence_length, note)
    return load_again(data, tokenizer, settings.sequence_length, state.corpus_fingerprint, note)


def _new_settings(
    args: argparse.Namespace, given: dict[str, object]
) -> tuple[RunConfig, Tokenizer | str]:
    tables = {} if args.config is None else read_toml(args.config)
    asked = {key: value for table in tables.values() for key, value in table.items()} | given
    preset = check_asked(asked, args.preset)
    settings = resolve(preset, args.config, given)
    data = dataclasses.replace(settings.data, corpus=from_anywhere(settings.data.corpus))
    model = settings.model
    if data.task == "classify":
        labels = split_labels(data.labels) or found_labels(data.corpus)
        data = dataclasses.replace(data, labels=",".join(labels))
        model = model | {"n_labels": len(labels)}
    return _begun(dataclasses.replace(settings, data=data, model=model), asked)


def _begun(settings: RunConfig, asked: Table) -> tuple[RunConfig, Tokenizer | str]:
    """Settings that fit the model that the run begins with, if there is one; and the tokenizer."""
    return fitted(settings, asked) if settings.train.init_from else (
        settings, settings.data.tokenizer)


def _new_folder(out: Path | None, settings: RunConfig) -> Path:
    if out is not None:
        if out.exists() and not out.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "not a folder; name another place", str(out))
        if checkpoints(out):
            raise ValueError(f"{out} already holds a run; continue it with --resume {out}, "
                             f"or choose another --out")
        return out
    name = Path(settings.data.corpus).name or "run"
    folder, n = Path("runs") / name, 2
    while folder.exists():
        folder, n = Path("runs") / f"{name}-{n}", n + 1
    return folder


def _resumed_folder(args: argparse.Namespace, given: dict[str, object]) -> Path:
    """The folder of the run to resume; ValueError if there is none, or for other settings."""
    for option, dest in {"preset": "preset", "config": "config", "out": "out",
                         "from": "init_from"}.items():
        if getattr(args, dest) is not None:
            raise ValueError(f"--{option} cannot be combined with --resume: the run keeps its "
                             f"settings")
    fixed = [name for name in given if name not in CHANGEABLE]
    if fixed:
        raise ValueError(f"{flags(fixed[:1])} cannot be changed on resuming, only "
                         f"{flags(CHANGEABLE)}")
    path: Path = args.resume
    if not is_run(path) and not (path / CONFIG_FILE).is_file():
        raise ValueError(f"{path} is not a run folder; npgpt train writes one")
    if not is_checkpoint(path):
        return path
    # one checkpoint of a run, perhaps not its newest: continue from there, in the run's folder
    above = path.absolute().parent
    if above.name != FOLDER:
        raise ValueError(f"{path} is a checkpoint outside of its run folder; put it into a folder "
                         f"{FOLDER} of a run")
    return above.parent


def _resumed(
    args: argparse.Namespace, given: dict[str, object], folder: Path
) -> tuple[RunConfig, TrainingState | None]:
    """Settings, with the flags that may change them, and state; None before any checkpoint."""
    path: Path = args.resume
    if not checkpoints(path) and (path / CONFIG_FILE).is_file():
        tables = read_toml(path / CONFIG_FILE)
        for table in table_fields():
            if table not in tables:
                raise ValueError(f"{path / CONFIG_FILE}: the table [{table}] is missing")
        return build(_changed(tables, given)), None
    state = load_checkpoint(path)
    if args.max_steps is not None and args.max_steps < state.step:
        raise ValueError(f"--max-steps {args.max_steps} is below step {state.step}, which "
                         f"this run has reached")
    tables = state.run.to_dict()
    if args.max_steps is not None and not state.run.train.decay_steps:
        # 0 stands for max_steps: a longer run must not change the learning rates already used
        tables["train"]["decay_steps"] = state.run.train.max_steps
    saved, state.run = state.run, build(_changed(tables, given))
    _note_edits(folder / CONFIG_FILE, saved, state.run)
    return state.run, state


def _changed(tables: dict[str, Table], given: dict[str, object]) -> dict[str, Table]:
    """Settings with those of the command line, each in its table."""
    for table, fields in table_fields().items():
        tables[table].update({name: given[name] for name in given if name in fields})
    tables["data"]["corpus"] = from_anywhere(tables["data"]["corpus"])
    return tables


def _note_edits(file: Path, saved: RunConfig, used: RunConfig) -> None:
    """Say where config.toml has a setting of its own: those of the checkpoint count."""
    if not file.is_file():
        return
    try:
        tables = read_whole_toml(file)
    except ValueError as error:
        note(f"{error}; it is written anew, with the settings of the checkpoint")
        return
    # without what a run that was killed before its first new checkpoint asked for, once again
    edits = [f"{key} = {mine!r} (the checkpoint: {there!r})"
             for table, key, mine, there in differences(tables, saved.to_dict())
             if mine != used.to_dict()[table].get(key)]
    if edits:
        more = f" and {len(edits) - 3} more" if len(edits) > 3 else ""
        note(f"{file} has {', '.join(edits[:3])}{more}; the settings of the checkpoint count")
