"""TrainSettings: everything that decides a training run, from presets, a TOML file and flags.

A run's TOML file has three tables, and every key is a field here or in GPT2Config:

    [data]      corpus, tokenizer, val_fraction
    [model]     n_layer, n_head, n_embd, n_positions, ... (vocab_size comes from the tokenizer)
    [train]     max_steps, batch_size, learning_rate, ...
"""

from __future__ import annotations

import json
import math
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Iterable, Iterator, Mapping, TypeVar

from ..checked import checked
from ..config import GPT2Config
from ..documents import LONGEST_LINE, Json, parse_toml, read_text
from ..ids import check_integer, check_number
from ..suggest import did_you_mean, one_line, shown, unknown

# what a run can probe while it trains, see npgpt.training.watch
WATCHABLE = ("entropy", "gradients", "activations", "updates")
# model settings that a run cannot choose: the tokenizer decides
DERIVED = ("vocab_size",)
# what a corpus is read as, see tasks.py
TASKS = ("text", "instruct", "classify")
# what may be changed on resuming a run; of the corpus, where it is: its content is compared
CHANGEABLE = ("max_steps", "max_minutes", "patience", "threads", "recompute", "corpus")


# a table of a config file as TOML and JSON give it: any values, until the dataclasses check them
Table = Json

T = TypeVar("T")


def _setting(default: T, meaning: str, *, least: int = 0, below: float = math.inf) -> T:
    """A field with its default; for the command line's help, what it means; and what fits.

    An integer must be at least `least`, a float at least 0 and less than `below`.
    """
    return field(default=default, metadata={"help": meaning, "least": least, "below": below})


def _check(name: str, value: object, option: Field[object]) -> None:
    """Raise ValueError unless the value is of the default's type and in the field's range."""
    if isinstance(option.default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{name}={shown(value)} must be true or false")
    elif isinstance(option.default, str):
        if not isinstance(value, str):
            raise ValueError(f"{name}={shown(value)} must be a string")
    elif isinstance(option.default, int):
        check_integer(name, value, option.metadata["least"])
    else:
        below = option.metadata["below"]
        if not 0.0 <= check_number(name, value) < below:
            fits = "finite and at least 0" if below == math.inf else f"in [0, {below:g})"
            raise ValueError(f"{name}={value} must be {fits}")


@dataclass(frozen=True)
class DataSettings:
    """Which text is learned, and how it is cut into tokens. Raises ValueError, naming the field."""

    corpus: str = _setting("python-docs", "A named corpus, or a file or folder of text")
    tokenizer: str = _setting("char",
                              "char: one token per character; gpt2: GPT-2's byte pair encoding; "
                              "bpe:1024: byte pair encoding learned from the text, 1024 ids")
    special: bool = _setting(False, "<|endoftext|> in the text is the end of a document, not text")
    task: str = _setting(
        "text", "What the corpus holds: text; instruct, JSON lines of instruction and output; or "
                "classify, of text and label")
    labels: str = _setting(
        "", "The labels of classify, separated by commas (default: those of the corpus, sorted)")
    val_fraction: float = _setting(
        0.1, "Fraction of the text, its end, held out from training", below=1.0)

    def __post_init__(self) -> None:
        for option in fields(self):
            _check(option.name, getattr(self, option.name), option)
        if self.task not in TASKS:
            raise unknown("task", self.task, TASKS)
        if self.val_fraction == 0.0:
            raise ValueError(f"val_fraction={self.val_fraction} must be above 0")


@dataclass(frozen=True)
class TrainSettings:
    """How a model is trained. Rates follow nanoGPT's conventions; see `schedule`.

    Raises ValueError, naming the field, what was given and what would fit.
    """

    init_from: str = _setting(
        "", "Fine-tune: begin with the weights and tokenizer of this run, folder of weights or "
            "name, such as gpt2")
    freeze: str = _setting(
        "", "Parameters that are not trained, separated by commas: a name or how it begins, "
            "* and [0-5] allowed, such as wte,wpe,h.[0-5]")
    seed: int = _setting(1337, "Decides initial parameters, batches, dropout and samples")
    dtype: str = _setting("float32", "float32, or float64 at half the speed")
    max_steps: int = _setting(1500, "Optimiser steps of the whole run", least=1)
    max_minutes: float = _setting(0.0,
                                  "Stop (with a checkpoint) after this many minutes; 0 is no limit")
    batch_size: int = _setting(12, "Sequences per forward pass", least=1)
    grad_accumulation: int = _setting(1, "Forward passes per optimiser step", least=1)
    sequence_length: int = _setting(0, "Tokens per sequence; 0 is the model's n_positions")
    learning_rate: float = _setting(1e-3, "The highest, reached after warm-up")
    min_learning_rate: float = _setting(1e-4, "The lowest, reached after decay_steps")
    warmup_steps: int = _setting(100, "Steps of linear warm-up")
    decay_steps: int = _setting(0, "Where the cosine decay ends; 0 is max_steps")
    beta1: float = _setting(0.9, "AdamW's decay of the mean gradient", below=1.0)
    beta2: float = _setting(0.99, "AdamW's decay of the mean squared gradient", below=1.0)
    adam_epsilon: float = _setting(1e-8, "AdamW's guard against division by zero")
    weight_decay: float = _setting(0.1,
                                   "Decay of matrices and tables, not of biases and norms")
    grad_clip: float = _setting(1.0, "Largest norm of all gradients together; 0 clips nothing")
    eval_every: int = _setting(250, "Steps between evaluations on held-out text", least=1)
    eval_batches: int = _setting(20, "Batches of one such evaluation; 0 takes all held-out text")
    patience: int = _setting(
        0, "Stop after so many evaluations in a row without a new lowest held-out loss; the run "
           "then stands for its best checkpoint; 0: never")
    sample_every: int = _setting(500, "Steps between written samples; 0 writes none")
    sample_tokens: int = _setting(200, "Tokens of a sample", least=1)
    checkpoint_every: int = _setting(
        250, "Steps between checkpoints; the first and last have one", least=1)
    keep_checkpoints: int = _setting(
        2, "How many of the newest checkpoints stay, beside the best", least=1)
    watch: str = _setting(
        "", f"What to probe and log, separated by commas: {', '.join(WATCHABLE)}")
    watch_every: int = _setting(
        100, "Steps between probes; the first and last step are probed", least=1)
    threads: int = _setting(0, "Threads to compute with; 0 is one per core")
    recompute: bool = _setting(
        False, "Activation checkpointing: compute activations twice, to save memory, not time")

    def __post_init__(self) -> None:
        for option in fields(self):
            _check(option.name, getattr(self, option.name), option)
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"unknown dtype {shown(self.dtype)}; expected float32 or float64")
        for name in self.watched:
            if name not in WATCHABLE:
                raise ValueError(f"watch: unknown name {name!r}{did_you_mean(name, WATCHABLE)}; "
                                 f"expected some of {', '.join(WATCHABLE)}")
        if self.min_learning_rate > self.learning_rate:
            raise ValueError(
                f"min_learning_rate={self.min_learning_rate} is above "
                f"learning_rate={self.learning_rate}"
            )

    @property
    def watched(self) -> tuple[str, ...]:
        """What `watch` names."""
        return tuple(name.strip() for name in self.watch.split(",") if name.strip())

    def watches(self, step: int) -> bool:
        """Whether the state after `step` updates is probed."""
        return bool(self.watched) and (step % self.watch_every == 0 or step == self.max_steps)


_SMALL = {"n_layer": 4, "n_head": 4, "n_embd": 128, "n_positions": 64,
          "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}

_FEW = {"warmup_steps": 10, "max_steps": 100, "batch_size": 1, "grad_accumulation": 4,
        "eval_every": 20, "eval_batches": 10, "sample_every": 50,
        "sample_tokens": 100, "checkpoint_every": 20}

PRESETS: dict[str, dict[str, Table]] = {
    "python-docs": {
        "data": {"corpus": "python-docs"},
        "model": {**_SMALL},
        "train": {},
    },
    # nanoGPT's recipe for a CPU: Tiny Shakespeare by characters
    "shakespeare-char": {
        "data": {"corpus": "shakespeare"},
        "model": {**_SMALL},
        "train": {"max_steps": 2000},
    },
    "gpt2": {
        "data": {"corpus": "python-source", "tokenizer": "gpt2"},
        "model": {},
        "train": {
            "learning_rate": 6e-4, "min_learning_rate": 6e-5, "beta2": 0.95, "warmup_steps": 700,
            "max_steps": 100_000, "batch_size": 1, "grad_accumulation": 8,
        },
    },
    # small steps, and few: the weights know most of it. The model and tokenizer are those given,
    # but for dropout, GPT-2's own 0.1
    "finetune": {
        "data": {},
        "model": {},
        "train": {**_FEW, "learning_rate": 5e-5, "min_learning_rate": 5e-6},
    },
    # updates begin at zero and are few: they take larger steps
    "lora": {
        "data": {},
        "model": {"lora_rank": 8, "lora_alpha": 16.0},
        "train": {**_FEW, "learning_rate": 5e-4, "min_learning_rate": 5e-5},
    },
}
DEFAULT_PRESET = "python-docs"
# what counts beside init_from where no preset is named: without lora_rank, and with it
FINE_TUNING, LOW_RANK = "finetune", "lora"


@dataclass(frozen=True)
class RunConfig:
    """The resolved settings of one run: data, model (without vocab_size) and train."""

    data: DataSettings = field(default_factory=DataSettings)
    model: Table = field(default_factory=dict)
    train: TrainSettings = field(default_factory=TrainSettings)

    def model_config(self, vocab_size: int) -> GPT2Config:
        """The architecture, once the tokenizer has decided the vocabulary's size."""
        return GPT2Config.from_dict({**self.model, "vocab_size": vocab_size})

    @property
    def sequence_length(self) -> int:
        """Tokens per training sequence."""
        positions: int = self.model["n_positions"]
        return self.train.sequence_length or positions

    def to_dict(self) -> dict[str, Table]:
        """Three tables of plain values; None is left out, as TOML has none."""
        tables = {"data": asdict(self.data), "model": self.model, "train": asdict(self.train)}
        return {name: {k: v for k, v in table.items() if v is not None}
                for name, table in tables.items()}

    def to_toml(self) -> str:
        """The text of a config file that gives this very run."""
        lines: list[str] = []
        for table, values in self.to_dict().items():
            lines += [f"[{table}]", *(f"{k} = {_toml(v)}" for k, v in values.items()), ""]
        return "\n".join(lines)


def split_labels(labels: str) -> tuple[str, ...]:
    """The labels in a setting."""
    return tuple(name.strip() for name in labels.split(",") if name.strip())


def table_fields() -> dict[str, dict[str, Field[object]]]:
    """The keys that each table of a config file may hold, with their dataclass fields."""
    model = {name: option for name, option in GPT2Config.options().items() if name not in DERIVED}
    return {"data": {option.name: option for option in fields(DataSettings)}, "model": model,
            "train": {option.name: option for option in fields(TrainSettings)}}


@checked
def resolve(
    preset: str | None = None,
    file: Path | str | None = None,
    flags: Table | None = None,
) -> RunConfig:
    """Preset, then file, then flags (by key, in any table): the later wins.

    Raises ValueError for an unknown preset, table or key, suggesting the nearest, and for an
    invalid value.
    """
    name = DEFAULT_PRESET if preset is None else preset
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    values = {table: dict(keys) for table, keys in PRESETS[name].items()}
    if file is not None:
        for table, keys in read_toml(Path(file)).items():
            values[table].update(keys)
    homes = {key: table for table, known in table_fields().items() for key in known}
    for key, value in (flags or {}).items():
        if key not in homes:
            raise ValueError(f"unknown setting {shown(key)}{did_you_mean(key, homes)}")
        values[homes[key]][key] = value
    try:
        return build(values)
    except ValueError as error:
        if file is None or any(key in str(error) for key in flags or ()):
            raise
        raise ValueError(f"{file}: {one_line(str(error), LONGEST_LINE)}") from None


def build(values: Mapping[str, Table]) -> RunConfig:
    """A RunConfig from three tables, with every field checked.

    Raises ValueError, naming the field, for an unknown key or an invalid value.
    """
    _check_keys(values)
    for table in table_fields():
        if table not in values:
            raise ValueError(f"the table {table!r} is missing")
    model = GPT2Config.from_dict(values["model"])       # checks the values
    data = DataSettings(**values["data"])
    train = TrainSettings(**values["train"])
    resolved = {k: v for k, v in model.to_dict().items() if k not in DERIVED}
    if train.sequence_length > model.n_positions:
        raise ValueError(
            f"sequence_length={train.sequence_length} is more than n_positions={model.n_positions}"
        )
    if model.n_labels and data.task != "classify":
        raise ValueError(f"n_labels={model.n_labels} belongs to task classify, which reads the "
                         f"labels from its corpus; leave it out")
    if train.recompute and model.entropy.penalty:
        raise ValueError("recompute (activation checkpointing) excludes entropy_penalty, which "
                         "needs the attention of every layer at once; switch one of them off")
    return RunConfig(data, resolved, train)


def differences(
    tables: Mapping[str, Table], others: Mapping[str, Table]
) -> Iterator[tuple[str, str, object, object]]:
    """Table, key and both values of every setting that differs; None stands for one left out."""
    for table in {**tables, **others}:
        mine, other = tables.get(table, {}), others.get(table, {})
        for key in sorted({*mine, *other}):
            if mine.get(key) != other.get(key):
                yield table, key, mine.get(key), other.get(key)


def read_toml(path: Path) -> dict[str, Table]:
    """The tables of a config file; ValueError names the file and the line or key at fault."""
    content = parse_toml(read_text(path), path)
    try:
        _check_keys(content)
    except ValueError as error:
        raise ValueError(f"{path}: {one_line(str(error), LONGEST_LINE)}") from None
    return content


def read_whole_toml(path: Path) -> dict[str, Table]:
    """The tables of a config file, with the default of each key that it leaves out.

    A file of an earlier version leaves out what came later. Raises ValueError as `read_toml`, and
    for an invalid value.
    """
    return build({"data": {}, "model": {}, "train": {}, **read_toml(path)}).to_dict()


def _check_keys(tables: Mapping[str, object]) -> None:
    """Raise ValueError for an unknown table or key."""
    known = table_fields()
    for table, keys in tables.items():
        if table not in known:
            place = _where(table, known)
            raise ValueError(f"{table!r} stands outside of any table{place}" if place else
                             f"unknown table [{table}]{did_you_mean(table, known)}; "
                             f"expected one of {', '.join(known)}")
        if not isinstance(keys, dict):
            raise ValueError(f"{table!r} must be a table: [{table}]")
        for key in keys:
            if key not in known[table]:
                if key in DERIVED:
                    raise ValueError(f"{key!r} is not a setting: the tokenizer decides it")
                place = _where(key, known) or did_you_mean(key, known[table])
                raise ValueError(f"unknown key {key!r} in [{table}]{place}")


def _where(key: str, known: Mapping[str, Iterable[str]]) -> str:
    tables = [table for table, names in known.items() if key in names]
    return f"; it belongs in [{tables[0]}]" if tables else ""


def _toml(value: str | float | bool) -> str:
    # JSON's spelling is TOML's too, except that JSON leaves DEL as it is and TOML forbids it
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
