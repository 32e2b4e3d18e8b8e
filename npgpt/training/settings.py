"""TrainSettings: everything that decides a training run, from presets, a TOML file and flags.

A run's TOML file has three tables, and every key is a field here or in GPT2Config:

    [data]      corpus, tokenizer, val_fraction
    [model]     n_layer, n_head, n_embd, n_positions, ... (vocab_size comes from the tokenizer)
    [train]     max_steps, batch_size, learning_rate, ...
"""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Iterable, Mapping

from ..config import GPT2Config

# what a run can look at while it trains, see npgpt.training.watch
WATCHABLE = ("entropy", "gradients", "activations", "updates")
# model settings that a run cannot choose: the tokenizer decides
DERIVED = ("vocab_size",)


def _setting(default: Any, meaning: str) -> Any:
    """A field with its default and, for the command line's help, what it means."""
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True)
class DataSettings:
    """Which text is learned, and how it is cut into tokens."""

    corpus: str = _setting("python-docs", "A named corpus, or a file or folder of text")
    tokenizer: str = _setting("char",
                              "char: one token per character; gpt2: GPT-2's byte pair encoding")
    val_fraction: float = _setting(0.1, "The last part of the text, held back from training")


@dataclass(frozen=True)
class TrainSettings:
    """How a model is trained. Rates follow nanoGPT's conventions; see `schedule`."""

    seed: int = _setting(1337, "Decides initial parameters, batches, dropout and samples")
    dtype: str = _setting("float32", "float32, or float64 at half the speed")
    max_steps: int = _setting(1500, "Optimiser steps of the whole run")
    max_minutes: float = _setting(0.0,
                                  "Stop (with a checkpoint) after this many minutes; 0 is no limit")
    batch_size: int = _setting(12, "Sequences per forward pass")
    grad_accumulation: int = _setting(1, "Forward passes per optimiser step")
    sequence_length: int = _setting(0, "Tokens per sequence; 0 is the model's n_positions")
    learning_rate: float = _setting(1e-3, "The highest, reached after warm-up")
    min_learning_rate: float = _setting(1e-4, "The lowest, reached after decay_steps")
    warmup_steps: int = _setting(100, "Steps of linear warm-up")
    decay_steps: int = _setting(0, "Where the cosine decay ends; 0 is max_steps")
    beta1: float = _setting(0.9, "AdamW's decay of the mean gradient")
    beta2: float = _setting(0.99, "AdamW's decay of the mean squared gradient")
    adam_epsilon: float = _setting(1e-8, "AdamW's guard against division by zero")
    weight_decay: float = _setting(0.1,
                                   "Decay of matrices and tables, not of biases and norms")
    grad_clip: float = _setting(1.0, "Largest norm of all gradients together; 0 clips nothing")
    eval_every: int = _setting(250, "Steps between evaluations on held-back text")
    eval_batches: int = _setting(20, "Batches of one such evaluation; 0 takes all held-back text")
    sample_every: int = _setting(500, "Steps between written samples; 0 writes none")
    sample_tokens: int = _setting(200, "Length of a sample")
    checkpoint_every: int = _setting(250, "Steps between checkpoints; the first and last have one")
    keep_checkpoints: int = _setting(2, "How many of the newest stay")
    watch: str = _setting("", f"Write to the log, with commas between: {', '.join(WATCHABLE)}")
    watch_every: int = _setting(100, "Steps between looks; the first and last are looked at")
    threads: int = _setting(0, "Threads to compute with; 0 is one per core")
    recompute: bool = _setting(False,
                               "Compute activations twice: less memory, more time")

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value, least = getattr(self, name), _COUNTS[name]
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{name}={value!r} must be a number")
            if not low <= value < high:
                raise ValueError(f"{name}={value} must be {_range(low, high)}")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype={self.dtype!r} is unknown; there are float32, float64")
        if not isinstance(self.watch, str):
            raise ValueError(f"watch={self.watch!r} must be a text, such as 'entropy,gradients'")
        for name in self.watched:
            if name not in WATCHABLE:
                raise ValueError(f"watch: {name!r} is unknown{_nearest(name, WATCHABLE)}; "
                                 f"there are {', '.join(WATCHABLE)}")
        if not isinstance(self.recompute, bool):
            raise ValueError(f"recompute={self.recompute!r} must be true or false")
        if self.min_learning_rate > self.learning_rate:
            raise ValueError(
                f"min_learning_rate={self.min_learning_rate} is above "
                f"learning_rate={self.learning_rate}"
            )

    @property
    def watched(self) -> tuple[str, ...]:
        """What `watch` names, in the order of WATCHABLE; unknown names last."""
        named = {name.strip() for name in self.watch.split(",")} - {""}
        return (*(n for n in WATCHABLE if n in named), *sorted(named - set(WATCHABLE)))

    def watches(self, step: int) -> bool:
        """Whether the state after `step` updates is looked at."""
        return bool(self.watched) and (step % self.watch_every == 0 or step == self.max_steps)


def _range(low: float, high: float) -> str:
    least = f"at least {low:g}"
    return f"a finite number of {least}" if high == math.inf else f"{least} and below {high:g}"


_COUNTS = {
    "seed": 0, "max_steps": 1, "batch_size": 1, "grad_accumulation": 1, "sequence_length": 0,
    "warmup_steps": 0, "decay_steps": 0, "eval_every": 1, "eval_batches": 0, "sample_every": 0,
    "sample_tokens": 1, "checkpoint_every": 1, "keep_checkpoints": 1, "threads": 0,
    "watch_every": 1,
}
_RANGES = {
    "learning_rate": (0.0, math.inf), "min_learning_rate": (0.0, math.inf),
    "beta1": (0.0, 1.0), "beta2": (0.0, 1.0), "adam_epsilon": (0.0, math.inf),
    "weight_decay": (0.0, math.inf), "grad_clip": (0.0, math.inf), "max_minutes": (0.0, math.inf),
}

_SMALL = {"n_layer": 4, "n_head": 4, "n_embd": 128, "n_positions": 64,
          "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
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
}
DEFAULT_PRESET = "python-docs"


@dataclass(frozen=True)
class RunConfig:
    """The resolved settings of one run: data, model (without vocab_size) and train."""

    data: DataSettings = field(default_factory=DataSettings)
    model: dict[str, Any] = field(default_factory=dict)
    train: TrainSettings = field(default_factory=TrainSettings)

    def model_config(self, vocab_size: int) -> GPT2Config:
        """The architecture, once the tokenizer has told the vocabulary's size."""
        return GPT2Config.from_dict({**self.model, "vocab_size": vocab_size})

    @property
    def sequence_length(self) -> int:
        """Tokens per training sequence."""
        positions: int = self.model["n_positions"]
        return self.train.sequence_length or positions

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Three tables of plain values; None is left out, as TOML has none."""
        tables = {"data": asdict(self.data), "model": self.model, "train": asdict(self.train)}
        return {name: {k: v for k, v in table.items() if v is not None}
                for name, table in tables.items()}

    def to_toml(self) -> str:
        """The text of a config file that gives this very run."""
        lines = []
        for table, values in self.to_dict().items():
            lines += [f"[{table}]", *(f"{k} = {_toml(v)}" for k, v in values.items()), ""]
        return "\n".join(lines)


def table_fields() -> dict[str, dict[str, Field[Any]]]:
    """The keys that each table of a config file may hold, with their dataclass fields."""
    model = {name: option for name, option in GPT2Config.options().items() if name not in DERIVED}
    return {"data": {option.name: option for option in fields(DataSettings)}, "model": model,
            "train": {option.name: option for option in fields(TrainSettings)}}


def resolve(
    preset: str | None = None,
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Preset, then file, then flags (by key, in any table): the later wins.

    Raises ValueError for an unknown preset, table or key, suggesting the nearest, and for a value
    that does not fit.
    """
    name = DEFAULT_PRESET if preset is None else preset
    if name not in PRESETS:
        raise ValueError(f"{name!r} is no preset{_nearest(name, PRESETS)}; "
                         f"there are {', '.join(PRESETS)}")
    values = {table: dict(keys) for table, keys in PRESETS[name].items()}
    if file is not None:
        for table, keys in read_toml(file).items():
            values[table].update(keys)
    for key, value in (flags or {}).items():
        for table, known in table_fields().items():
            if key in known:
                values[table][key] = value
    return build(values)


def build(values: Mapping[str, Mapping[str, Any]]) -> RunConfig:
    """A RunConfig from three tables, with every field checked."""
    for table, known in table_fields().items():
        for key in values[table]:
            if key not in known:
                raise ValueError(f"unknown key {key!r} in [{table}]{_nearest(key, known)}")
    model = GPT2Config.from_dict(values["model"])       # checks the values
    data = DataSettings(**values["data"])
    fraction = data.val_fraction
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float)) or not 0 < fraction < 1:
        raise ValueError(f"val_fraction={fraction!r} must lie between 0 and 1, both excluded")
    for key in ("corpus", "tokenizer"):
        if not isinstance(getattr(data, key), str):
            raise ValueError(f"{key}={getattr(data, key)!r} must be a text")
    train = TrainSettings(**values["train"])
    resolved = {k: v for k, v in model.to_dict().items() if k not in DERIVED}
    if train.sequence_length > model.n_positions:
        raise ValueError(
            f"sequence_length={train.sequence_length} is more than n_positions={model.n_positions}"
        )
    if train.recompute and model.entropy.penalty:
        raise ValueError("recompute does not go with entropy_penalty, which needs the attention of "
                         "every layer at once; switch one of them off")
    return RunConfig(data, resolved, train)


def read_toml(path: Path) -> dict[str, dict[str, Any]]:
    """The tables of a config file; ValueError names the file and the line or key at fault."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no valid TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text: byte {error.start} does not fit") from None
    known = table_fields()
    for table, keys in content.items():
        if table not in known:
            place = _where(table, known)
            raise ValueError(f"{path}: {table!r} stands outside of any table{place}" if place else
                             f"{path}: unknown table [{table}]{_nearest(table, known)}; "
                             f"there are {', '.join(known)}")
        if not isinstance(keys, dict):
            raise ValueError(f"{path}: {table!r} must be a table: [{table}]")
        for key in keys:
            if key not in known[table]:
                if key in DERIVED:
                    raise ValueError(f"{path}: {key!r} is no setting: the tokenizer decides it")
                place = _where(key, known) or _nearest(key, known[table])
                raise ValueError(f"{path}: unknown key {key!r} in [{table}]{place}")
    return content


def _where(key: str, known: Mapping[str, Iterable[str]]) -> str:
    tables = [table for table, names in known.items() if key in names]
    return f"; it belongs in [{tables[0]}]" if tables else ""


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f", did you mean {close[0]!r}?" if close else ""


def _toml(value: Any) -> str:
    # every value is a text, a number or a truth value; for these JSON's spelling is TOML's too,
    # except that TOML wants a point or an exponent with digits on both sides
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text or "e" in text else f"{text}.0"
    # JSON leaves DEL as it is, TOML forbids it
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
