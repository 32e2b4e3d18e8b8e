"""Options that several verbs take, declared once."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from dataclasses import Field
from pathlib import Path
from typing import Sequence

from ..ids import check_integer
from ..machine import tune
from ..training.held_out import model_file
from ..weights.peft import based_on
from .parser import Parser

# what stands for an option's value in the help, by its type
METAVARS = {int: "N", float: "X", str: "NAME"}


def add_model(parser: Parser) -> None:
    """Declare MODEL, in any form that `open_model` reads."""
    parser.add_argument("model", type=Path, metavar="MODEL",
                        help="a run, a checkpoint, or a folder of GPT-2 weights")
    add_base(parser)


def add_base(parser: argparse._ActionsContainer) -> None:
    """Declare --base, the place of an adapter's base model."""
    parser.add_argument("--base", metavar="MODEL",
                        help="of an adapter (LoRA): its base model, if that is no longer where "
                             "adapter_config.json says")


def use_base(base: str | None, model: Path | str | None) -> AbstractContextManager[None]:
    """Inside, --base counts for MODEL; ValueError unless that is an adapter."""
    if base is not None and model is None:
        raise ValueError("--base belongs to a model that is an adapter; name that too")
    return based_on(base, None if base is None else model_file(Path(model or "")))


def add_seed(parser: Parser, default: int | None, meaning: str) -> None:
    """Declare --seed."""
    parser.add_argument("--seed", type=seed_number, default=default, metavar="N", help=meaning)


def seed_number(text: str) -> int:
    """An option's value as the seed of a random generator: an integer of at least 0."""
    try:
        return check_integer("seed", int(text), 0)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected an integer of at least 0, got {text!r}") from None


def add_color(parser: Parser) -> None:
    """Declare --color, see `console.wants_color`."""
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto",
                        help="colour the output (default auto: in a terminal only)")


def add_threads(parser: Parser) -> None:
    """Declare --threads, with 0 as `npgpt train` takes it."""
    parser.add_argument("--threads", type=int, default=0, metavar="N",
                        help="threads to compute with (default 0: OMP_NUM_THREADS, or else one "
                             "per core)")


def use_threads(n: int) -> None:
    """Compute with n threads from now on, unless n is 0; ValueError for a negative number."""
    if check_integer("threads", n, 0):
        tune(n)


def add_setting(
    group: argparse._ActionsContainer, name: str, field: Field[object], default: object,
    metavar: str = "",
) -> None:
    """Declare the flag of a setting of the model or of training; None means not given."""
    meaning = field.metadata["help"]
    shown = {True: "on", False: "off"}[default] if isinstance(default, bool) else default
    # None and an empty text would mean nothing to a reader
    meaning += "" if shown in (None, "") else f" (default {shown})"
    if isinstance(field.default, bool):
        group.add_argument(flags([name]), action=argparse.BooleanOptionalAction, default=None,
                           help=meaning)
    else:
        kind = int if field.default is None else type(field.default)
        group.add_argument(flags([name]), type=seed_number if name == "seed" else kind,
                           metavar=metavar or METAVARS[kind], default=None, help=meaning)


def flags(names: Sequence[str]) -> str:
    """The flags of settings by name, separated by commas."""
    return ", ".join("--" + name.replace("_", "-") for name in names)
