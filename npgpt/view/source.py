"""What `npgpt view` looks at: a run, a checkpoint, a preset or a config untrained, or weights."""

from __future__ import annotations

from pathlib import Path

from ..budget import check_room_for
from ..config import SIZES
from ..params import check_params, init_params
from ..suggest import did_you_mean
from ..text import BPETokenizer, Tokenizer, load_corpus
from ..training.checkpoint import (
    FOLDER,
    OPTIMIZER_FILE,
    build_run,
    build_tokenizer,
    damage,
    is_checkpoint,
    is_run,
    newest_checkpoint,
    read_record,
    read_weights,
)
from ..training.held_out import opened_checkpoint
from ..training.initial import read_any
from ..training.log import read_log
from ..training.settings import FINE_TUNING, LOW_RANK, PRESETS, RunConfig, resolve
from ..weights import CheckpointError
from ..weights.errors import bad_file
from ..weights.hub import found
from ..weights.safetensors_file import read_arrays
from .parameters import Optimizer
from .payload import Subject, Window

# presets that are a model of their own; the others begin with a trained one
UNTRAINED = tuple(name for name in PRESETS if name not in (FINE_TUNING, LOW_RANK))
# tokens on a page, unless asked for others
LENGTH, LENGTH_OF_WEIGHTS = 32, 48
SENTENCE = ("The animal did not cross the street because it was too tired. It lay down in the "
            "shade, and the cars drove around it, one after the other, until it woke up in the "
            "evening and went home, where nobody had noticed that it had been away.")


def subject(model: str, settings: dict[str, object] | None = None) -> Subject:
    """The model that a user named; `settings` change those of a preset or a config file.

    Raises ValueError for a preset that does not exist and for settings of a trained model, and
    CheckpointError for files that are damaged. A model with NaN is accepted.
    """
    path, settings = Path(model), settings or {}
    untrained = path.suffix == ".toml" or (model in PRESETS and not path.exists())
    # gpt2 is a preset too, unless its weights are here
    if untrained and (settings or model not in SIZES or found(model) is None):
        return _untrained(model, settings)
    if settings:
        raise ValueError(f"{next(iter(settings))} belongs to an untrained preset or a .toml, "
                         f"not to {model}")
    if is_run(path):
        return _of_run(model, path)
    if not path.exists() and model not in SIZES and path.parent == Path():
        raise CheckpointError(f"{model} is not a run, a checkpoint, a folder of weights, nor a "
                              f"preset{did_you_mean(model, UNTRAINED)}; expected one, such as "
                              f"{', '.join(UNTRAINED)}")
    runs = [each for each in sorted(path.iterdir()) if is_run(each)] if path.is_dir() else []
    if runs and not (path / "config.json").exists():
        raise CheckpointError(f"{model} is no run but holds {len(runs)}; expected one of them, "
                              f"such as {', '.join(str(each) for each in runs[:3])}")
    config, params, tokenizer = read_any(path)
    return Subject(model, "weights", config, params, tokenizer,
                   Optimizer(resolve(FINE_TUNING).train, scheduled=False))


def window(subject: Subject, text: str | None, length: int | None) -> Window:
    """The tokens of `text`; without one, of the run's held-out text, or of a sentence of ours.

    Raises ValueError for a character that the tokenizer lacks, and CorpusError for a corpus.
    """
    context = subject.config.n_positions
    usual = LENGTH_OF_WEIGHTS if subject.kind == "weights" else LENGTH
    most = min(context, usual) if length is None else length
    if text is not None:
        ids, source = subject.tokenizer.encode(text), "as given"
    elif (run := _run_of(subject)) is not None and run.data.task == "text":
        corpus = load_corpus(run.data.corpus, subject.tokenizer, run.data.val_fraction)
        # a file's name alone: the page may be sent to somebody
        ids, source = corpus.val[:most + 1], f"{Path(corpus.name).name} (val)"
    else:
        ids, source = subject.tokenizer.encode(SENTENCE), "a sentence of npgpt's own"
    return Window.of(ids, most, source)


def _run_of(subject: Subject) -> RunConfig | None:
    if subject.kind == "weights":
        return None
    if subject.kind == "preset":
        path = Path(subject.name)
        return resolve(file=path) if path.suffix == ".toml" else resolve(subject.name)
    folder = newest_checkpoint(Path(subject.name))
    return build_run(folder, read_record(folder))


def _untrained(name: str, settings: dict[str, object]) -> Subject:
    if name in (FINE_TUNING, LOW_RANK):
        raise ValueError(f"{name} begins with a trained model; name that model")
    path = Path(name)
    run = resolve(file=path, flags=settings) if path.suffix == ".toml" else (
        resolve(name, flags=settings))
    tokenizer: Tokenizer = BPETokenizer()
    if run.data.tokenizer != tokenizer.name:
        tokenizer = load_corpus(
            run.data.corpus, run.data.tokenizer, run.data.val_fraction).tokenizer
    config = run.model_config(tokenizer.vocab_size)
    check_room_for(config, run.train.dtype)
    params = init_params(config, run.train.seed, run.train.dtype)
    return Subject(name, "preset", config, params, tokenizer,
                   Optimizer(run.train, scheduled=False), step=0)


def _of_run(name: str, path: Path) -> Subject:
    folder = opened_checkpoint(path)
    # as a run is read, but for the check that every number is finite: NaN is to be seen here
    problems = damage(folder)
    if problems:
        raise bad_file(folder, *(f"{file} {what}" for file, what in problems.items()))
    record = read_record(folder)
    config, params = read_weights(folder, record)
    check_params(config, params)
    run, tokenizer = build_run(folder, record), build_tokenizer(folder, record, config)
    moments = read_arrays(folder / OPTIMIZER_FILE) if (folder / OPTIMIZER_FILE).exists() else {}
    mean, square = (({each: moments[f"{kind}.{each}"] for each in params}
                     if all(f"{kind}.{each}" in moments for each in params) else None)
                    for kind in "mv")
    step = record["step"]
    kind = "checkpoint" if is_checkpoint(path) else "run"
    # a checkpoint that was moved out of its run has no log
    place = folder.absolute().parent
    return Subject(name, kind, config, params, tokenizer,
                   Optimizer(run.train, step, mean, square), step,
                   read_log(place.parent) if place.name == FOLDER else [])
