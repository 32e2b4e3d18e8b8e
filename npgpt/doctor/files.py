"""Examine the pairs in somebody's own file, with shapes from a comment.

    # gradcheck: x=(2,3,8) weight=(8,) bias=(8,) eps=1e-5
    def layernorm_forward(x, weight, bias, *, eps): ...

The comment belongs to the next `..._forward` below it. Its values:

    (2,3,8)      random floats of this shape; () is a single number
    ids(2,3)<7   integer ids of this shape, below 7, one of them twice
    None         an input that is left out
    rng=0        a random generator with this seed
    1e-5, True   anything else is a setting, as Python writes it
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import math
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..gradcheck.pair import describe
from .check import examine
from .report import Finding, Report
from .subject import Subject, check_mapping, generator

_HEADER = re.compile(r"#\s*gradcheck:\s*(?P<body>.*)")
_DEF = re.compile(r"def\s+(?P<name>\w+)_forward\s*\(")
_PAIR = re.compile(r"(\w+)\s*=\s*(ids\s*\([^)]*\)\s*<\s*\d+|\([^)]*\)|[^\s,]+)")
_IDS = re.compile(r"ids\s*(\([^)]*\))\s*<\s*(\d+)")


# a gigabyte of float64: a check of that many would not end
MOST_ELEMENTS = 10**8


class Length(tuple[int]):
    """A bare number on the command line: the length of an input, or a setting as it stands."""


class UnreadableFile(OSError):
    """A file is there, but it does not hold Python."""


def examine_file(
    target: str | Path, shapes: Mapping[str, Any] | None = None, seed: int = 0
) -> list[Report]:
    """Examine every pair in a Python file, or only one: 'FILE' or 'FILE:NAME'; a report for each.

    `shapes` are the header's values as a dict, such as {"x": (2, 3, 8), "ids": "ids(2,3)<7", "eps":
    1e-5}; they go before those of the comment. The file is run, as an import would run it.
    Where other pairs can be examined, a pair without valid inputs gets a report of that.

    Raises ValueError where the file, a pair or the shapes are missing, UnreadableFile where the
    file is not Python.
    """
    if not isinstance(target, (str, Path)):
        raise ValueError(f"target must be a path, got {describe(target)}")
    if shapes is not None:
        check_mapping("shapes", shapes)
    generator(seed)
    path, name = _split(str(target))
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path} is not UTF-8 text: invalid byte at {error.start}") from None
    module = _load(path)
    pairs = find_pairs(module)
    if name is not None and name not in pairs:
        known = ", ".join(pairs) or "none"
        raise ValueError(f"{path} has no {name}_forward with {name}_backward; pairs in it: {known}")
    if not pairs:
        raise ValueError(
            f"{path} has no pair NAME_forward and NAME_backward, such as linear_forward and "
            "linear_backward"
        )
    headers = read_headers(text)
    reports, mistakes = [], []
    for stem in [name] if name else list(pairs):
        try:
            values = {**read_values(headers.get(stem, "")), **(shapes or {})}
            given = make_inputs(pairs[stem][0], values, np.random.default_rng(seed))
            subject = Subject(*pairs[stem], *given)
        except ValueError as error:
            mistakes.append(ValueError(f"{path}: {stem}: {error}"))
            reports.append(Report(stem, findings=[Finding("undecided", "", str(mistakes[-1]))]))
            continue
        reports.append(examine(subject, seed))
    if len(mistakes) == len(reports):
        raise mistakes[0]
    return reports


def _split(target: str) -> tuple[Path, str | None]:
    path, name = Path(target), None
    if not path.is_file():
        head, colon, tail = target.rpartition(":")
        if colon and tail.isidentifier() and Path(head).is_file():
            path, name = Path(head), tail.removesuffix("_forward")
        else:
            raise ValueError(f"{target} is not a file; expected FILE.py or FILE.py:NAME")
    return path, name


def read_headers(text: str) -> dict[str, str]:
    """The `# gradcheck:` comments of a file, by the name of the pair that each belongs to."""
    result: dict[str, str] = {}
    waiting = ""
    for line in text.splitlines():
        header, define = _HEADER.search(line), _DEF.search(line)
        if header:
            waiting += " " + header["body"]
        elif define:
            result[define["name"]] = waiting
            waiting = ""
    return result


def read_values(text: str) -> dict[str, Any]:
    """'x=(2,3) eps=1e-5' as {'x': (2, 3), 'eps': 1e-05}."""
    result: dict[str, Any] = {}
    for name, value in _PAIR.findall(text):
        if _IDS.fullmatch(value):
            result[name] = value
            continue
        try:
            result[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            raise ValueError(
                f"{name}={value} in a gradcheck header: expected a shape (2,3,8), ids(2,3)<7, None "
                "or a number"
            ) from None
    return result


def read_flag(text: str) -> dict[str, Any]:
    """'x=2,3,8' of the command line, or anything that a header may hold, as read_values gives it.

    A bare number of an input is its length: 'weight=8' is (8,). 'scale=scalar' is a scalar.
    """
    name, _, value = (part.strip() for part in text.partition("="))
    if value.isdecimal() and name != "rng":
        return {name: Length((int(value),))}
    if re.fullmatch(r"\d+(\s*,\s*\d+)+|\d+,", value):
        value = f"({value.rstrip(',')},)"
    elif value == "scalar":
        value = "()"
    try:
        found = read_values(f"{name}={value}")
    except ValueError:
        found = {}
    if list(found) != [name]:
        raise ValueError(
            f"cannot read --shape {text!r}; expected such as x=2,3,8, ids=ids(2,3)<7, bias=None or "
            "eps=1e-5"
        )
    return found


def find_pairs(module: ModuleType) -> dict[str, tuple[Callable[..., Any], Callable[..., Any]]]:
    """NAME_forward with NAME_backward, defined in this very module, in the order of the file."""
    result = {}
    for key, forward in vars(module).items():
        stem = key.removesuffix("_forward")
        backward = getattr(module, f"{stem}_backward", None)
        if stem != key and callable(forward) and callable(backward):
            if getattr(forward, "__module__", None) == module.__name__:
                result[stem] = (forward, backward)
    return result


def make_inputs(
    forward: Callable[..., Any], values: Mapping[str, Any], rng: np.random.Generator
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(arrays, settings) for a forward, from the values of a header."""
    parameters = inspect.signature(forward).parameters
    inputs: list[Any] = []
    settings: dict[str, Any] = {}
    for place, (name, parameter) in enumerate(parameters.items()):
        positional = parameter.kind != parameter.KEYWORD_ONLY
        if name in values:
            _take(name, values[name], parameter, rng, inputs, settings)
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        elif parameter.default is parameter.empty:
            sample = " ".join(f"{p}=(2,3,8)" for p in parameters)
            raise ValueError(
                f"no shape for {name}; expected a line such as `# gradcheck: {sample}` above the "
                "forward, with the right shapes"
            )
        elif positional and any(later in values for later in list(parameters)[place:]):
            if parameter.default is None:
                inputs.append(None)
            else:
                settings[name] = parameter.default
    unknown = [name for name in values if name not in parameters]
    if any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
        settings.update((name, values[name]) for name in unknown)
    elif unknown:
        raise ValueError(f"forward has no argument {unknown[0]}; it has {', '.join(parameters)}")
    return tuple(inputs), settings


def _take(
    name: str, value: Any, parameter: inspect.Parameter, rng: np.random.Generator,
    inputs: list[Any], settings: dict[str, Any],
) -> None:
    """Add one value of a header to the inputs or to the settings."""
    keyword = parameter.kind == parameter.KEYWORD_ONLY
    ids = _IDS.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, Length) and (keyword or isinstance(parameter.default, (int, float))):
        value = value[0]
    if name == "rng" and isinstance(value, int):
        settings[name] = np.random.default_rng(value)
    elif ids:
        shape, below = ast.literal_eval(ids[1]), int(ids[2])
        if math.prod(np.atleast_1d(shape).tolist()) > MOST_ELEMENTS:
            raise ValueError(f"{name}={value} has more than {MOST_ELEMENTS:,} elements")
        drawn = np.asarray(rng.integers(0, below, shape))
        if drawn.size > 1:  # one id comes twice: that is where `=` for `+=` shows
            drawn.reshape(-1)[-1] = drawn.reshape(-1)[0]
        inputs.append(drawn)
    elif isinstance(value, (tuple, list)) and not keyword:
        if not all(isinstance(n, int) and n >= 0 for n in value):
            raise ValueError(f"{name}={value} is not a shape; expected integers, such as (2,3,8)")
        if math.prod(value) > MOST_ELEMENTS:
            raise ValueError(f"{name}={value} has {math.prod(value):,} elements; expected at most "
                             f"{MOST_ELEMENTS:,}")
        inputs.append(rng.standard_normal(tuple(value)))
    elif (value is None or isinstance(value, np.ndarray)) and not keyword:
        inputs.append(value)
    else:
        settings[name] = value


def _load(path: Path) -> ModuleType:
    name = f"_gradcheck_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file; expected a name that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # as `python FILE` does, for its neighbours
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UnreadableFile(
            f"{path} is not valid Python: {error.msg} (line {error.lineno})"
        ) from error
    except (Exception, SystemExit) as error:  # the user's own code runs here
        raise ValueError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module
