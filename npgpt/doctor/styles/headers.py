"""What a `# gradcheck:` comment says of the inputs of a forward, and the inputs made from it.

    (2,3,8)      random floats of this shape; () is a single number
    (2,3)>0      the same, all above (or below) a number
    floats(8)    the same where a tuple would be a setting: behind a `*`
    const(2,3)   floats that have no gradient, such as targets or a mask
    bools(2,3)   flags
    ids(2,3)<7   integer ids of this shape, below 7, one of them twice
    None         an input that is left out
    rng=0        a random generator with this seed
    tuple(0,1)   a setting that is a tuple, where (0,1) would be a shape
    1e-5, True, {'stride': 2}   anything else is a setting, as Python writes it
"""

from __future__ import annotations

import ast
import inspect
import io
import math
import re
import tokenize
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ...gradcheck.pair import constant

MOST_ELEMENTS = 10**8   # a gigabyte of float64: a check of that many would not end
# arguments of these names are settings even where they stand before the `*`
SETTINGS = {"axes", "axis", "shape", "size", "pad", "padding", "stride", "strides", "dilation",
            "kernel_size", "pool_size", "dims"}
# the colon is easily forgotten
_HEADER = re.compile(r"#\s*gradcheck(?::|\s+(?=\w+\s*=))\s*(?P<body>.*)")
_DRAWN = re.compile(r"(floats|const|ids|bools|)\s*(\([\d\s,]*\))(?:([<>])(-?[\d.]+(?:e-?\d+)?))?")


class Length(tuple[int]):
    """A bare number on the command line: the length of an input, or a setting as it stands."""


class Setting(NamedTuple):
    """A value that is no shape."""

    value: object


class Header(NamedTuple):
    """A comment of a file: the line it stands in, and what it says."""

    line: int
    text: str


def read_headers(text: str) -> list[Header]:
    """The `# gradcheck:` comments of a file, in order."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and (match := _HEADER.match(token.string)):
            found.append(Header(token.start[0], match["body"]))
    return found


def read_values(text: str) -> dict[str, object]:
    """'x=(2,3) eps=1e-5' as {'x': (2, 3), 'eps': 1e-05}; raises ValueError for what it cannot read.
    """
    texts: dict[str, str] = {}
    last = ""
    for item in _items(text):
        name, equals, value = item.partition("=")
        if equals and name.isidentifier() and value:
            last, texts[name] = name, value
        elif last and re.fullmatch(r"\d+(,\d+)*,\d+", f"{texts[last]},{item}"):
            texts[last] += f",{item}"       # x=2,3 is x=(2,3)
        else:
            raise ValueError(f"cannot read {item} in a gradcheck header; expected NAME=VALUE, such "
                             "as x=(2,3)")
    return {name: _value(name, value) for name, value in texts.items()}


def _items(text: str) -> list[str]:
    """The parts of a header between blanks and commas that stand in no bracket and no quotes."""
    items, depth, quote = [""], 0, ""
    for sign in re.sub(r"\s*([<>=])\s*", r"\1", text.strip()):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        depth += (sign in "([{") - (sign in ")]}")
        if not quote and depth <= 0 and (sign.isspace() or sign == ","):
            items.append("")
        else:
            items[-1] += sign
    return [item for item in items if item]


def _value(name: str, text: str) -> object:
    if re.fullmatch(r"\d+(,\d+)+", text):
        text = f"({text})"
    drawn = _DRAWN.fullmatch(text)
    if drawn and not drawn[1] and not drawn[3]:
        return _shape(text)
    if drawn and (drawn[1] != "ids" or drawn[3] == "<" and drawn[4].isdecimal()):
        return f"{drawn[1] or 'floats'}{text.removeprefix(drawn[1])}"
    try:
        if text.startswith("tuple("):
            return Setting(_shape(text.removeprefix("tuple")))
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise ValueError(
            f"{name}={text} in a gradcheck header: expected a shape (2,3,8), (2,3)>0, ids(2,3)<7, "
            "const(2,3), None or a setting as Python writes it"
        ) from None


def _shape(text: str) -> tuple[int, ...]:
    value = ast.literal_eval(text)
    return value if isinstance(value, tuple) else (value,)      # (3) is (3,)


def read_flag(text: str) -> dict[str, object]:
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


def make_inputs(
    forward: Callable[..., object], values: Mapping[str, object], rng: np.random.Generator,
    shapes_behind: bool = False,
) -> tuple[tuple[object, ...], dict[str, object]]:
    """(arrays, settings) for a forward, from the values of a header.

    A tuple of a keyword-only argument is a setting, or with `shapes_behind` the shape of an array.
    Raises ValueError where a value is missing or unknown.
    """
    known = inspect.signature(forward).parameters
    inputs: list[object] = []
    settings: dict[str, object] = {}
    for place, (name, parameter) in enumerate(known.items()):
        positional = parameter.kind != parameter.KEYWORD_ONLY
        if name in values:
            made = _made(name, values[name], parameter, rng, shapes_behind)
            if isinstance(made, Setting):
                settings[name] = made.value
            elif positional:
                inputs.append(made)
            else:
                settings[name] = made.value if isinstance(made, constant) else made
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        elif parameter.default is parameter.empty:
            sample = " ".join(f"{p}=(2,3)" for p in known if p not in values)
            raise ValueError(f"no shape for {name}; expected a line such as `# gradcheck: {sample}`"
                             " above it, each with its own shape")
        elif positional and any(later in values for later in list(known)[place:]):
            if parameter.default is None:
                inputs.append(None)
            else:
                settings[name] = parameter.default
    unknown = [name for name in values if name not in known]
    if any(p.kind == p.VAR_KEYWORD for p in known.values()):
        settings.update((name, plain(values[name], rng)) for name in unknown)
    elif unknown:
        raise ValueError(f"forward has no argument {unknown[0]}; it has {', '.join(known)}")
    return tuple(inputs), settings


def plain(value: object, rng: np.random.Generator) -> object:
    """A value of a header as an argument of something that is no forward: shapes stay tuples."""
    made = drawn(value, rng) if isinstance(value, str) else value
    value = made if made is not None else value
    return value.value if isinstance(value, (Setting, constant)) else value


def _made(
    name: str, value: object, parameter: inspect.Parameter, rng: np.random.Generator,
    shapes_behind: bool,
) -> object:
    """An array, a constant or None, which are inputs, or a Setting."""
    keyword = parameter.kind == parameter.KEYWORD_ONLY
    if isinstance(value, Length) and (keyword or isinstance(parameter.default, (int, float))):
        return Setting(value[0])
    if name == "rng" and isinstance(value, int):
        return Setting(np.random.default_rng(value))
    if isinstance(value, str) and (array := drawn(value, rng)) is not None:
        return array
    if isinstance(value, Setting):
        return value
    if isinstance(value, (tuple, list)):
        plainly = shapes_behind if keyword else (
            name not in SETTINGS and parameter.default in (parameter.empty, None))
        if not plainly:
            return Setting(value)
        if not all(isinstance(n, int) and n >= 0 for n in value):
            raise ValueError(f"{name}={value} is not a shape; expected integers, such as (2,3,8)")
        return drawn(f"floats{tuple(value)}", rng)
    if (value is None or isinstance(value, np.ndarray)) and not keyword:
        return value
    return Setting(value)


def drawn(text: str, rng: np.random.Generator) -> object:
    """The array that such as `ids(2,3)<7` stands for; None for another text."""
    match = _DRAWN.fullmatch(re.sub(r"\s*([<>])\s*", r"\1", text))
    if match is None or not match[1]:
        return None
    kind, shape = match[1], _shape(match[2])
    if math.prod(shape) > MOST_ELEMENTS:
        raise ValueError(f"{text} has {math.prod(shape):,} elements; expected at most "
                         f"{MOST_ELEMENTS:,}")
    if kind == "ids" and int(match[4] or 2) < 1:
        raise ValueError(f"{text} has no ids; expected a bound of at least 1, such as ids(2,3)<7")
    if kind == "ids":
        ids = np.asarray(rng.integers(0, int(match[4] or 2), shape))
        if ids.size > 1:  # one id comes twice: that is where `=` for `+=` shows
            ids.reshape(-1)[-1] = ids.reshape(-1)[0]
        return ids
    array = np.asarray(rng.standard_normal(shape))
    if kind == "bools":
        return array > 0
    if match[3]:  # well off the bound, where a logarithm or a root has its edge
        away = 0.2 + np.abs(array)
        array = float(match[4]) + (away if match[3] == ">" else -away)
    return constant(array) if kind == "const" else array
