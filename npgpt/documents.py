"""Documents from outside: JSON, TOML and UTF-8 text, with limits of size, depth and numbers.

    values = read_json(Path("config.json"), CheckpointError)
    check_type(values, RunRecord, "run.json", CheckpointError)

Only a regular file is opened: a FIFO would block, a device need not end. Text may begin with a
byte-order mark. For content that cannot be used, every function raises `error`, the caller's kind
of ValueError, with one line that says where and what; where a file cannot be opened, OSError.
"""

from __future__ import annotations

import functools
import json
import math
import os
import stat
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Any,
    BinaryIO,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from .suggest import one_line, shown

# far above what any description of a model or a run needs
LARGEST = 2**25
LARGEST_TOML = 2**20
DEEPEST = 64
MOST_DOTS = 256
# a float has room for 308
MOST_DIGITS = 300
# a message has a path of its own beside it: together they stay within 500
LONGEST_LINE = 400
_MISSING = object()
_BUILTIN: dict[object, object] = {Sequence: list, Mapping: dict}
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
_NAMES = {NoneType: "null", bool: "true or false", int: "an integer", float: "a number",
          str: "a string", list: "a list", dict: "an object"}

_TOO_LONG = f"an integer of more than {MOST_DIGITS} digits"
_TOO_DEEP = f"nested more than {DEEPEST} levels deep"
_hints = functools.cache(get_type_hints)

# an object of JSON, or a table of TOML, as Python gives it
Json = dict[str, Any]
Error = type[ValueError]
T = TypeVar("T")


def open_regular(path: Path, error: Error = ValueError) -> BinaryIO:
    """Open a regular file to read its bytes; anything else is rejected at once."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "a device")
        raise error(f"{path} is {kind}; expected a regular file")
    return path.open("rb")


def read_bytes(path: Path, error: Error = ValueError, most: int = LARGEST) -> bytes:
    """The content of a regular file of at most `most` bytes."""
    with open_regular(path, error) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise error(f"{path} is too large: expected at most {most:,} bytes, got {size:,}")
        return file.read()


def decode(raw: bytes, where: object, error: Error = ValueError) -> str:
    """UTF-8 as text, without a byte-order mark; newlines stay as they are."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        # the mark is not counted there
        at = problem.start + len(raw) - len(problem.object)
        raise error(f"{where} is not UTF-8 text: invalid byte 0x{raw[at]:02x} at {at}") from None


def read_text(path: Path, error: Error = ValueError) -> str:
    """The text of a file, as `decode` gives it."""
    return decode(read_bytes(path, error), path, error)


def read_json(path: Path, error: Error = ValueError, most: int = LARGEST) -> Json:
    """The JSON object in a file."""
    return parse_json(read_bytes(path, error, most), path, error)


def parse_json(raw: bytes, where: object, error: Error = ValueError) -> Json:
    """The JSON object in `raw`; messages begin with `where`."""
    text = decode(raw, where, error)
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_float=_finite,
                           parse_constant=_finite)
        _check_limits(found)
    except (ValueError, RecursionError) as problem:
        raise error(f"{where} is not valid JSON: {_cause(problem)}") from None
    if not isinstance(found, dict):
        raise error(f"{where} is not a JSON object: got {shown(found)}")
    return found


def parse_toml(text: str, where: object, error: Error = ValueError) -> Json:
    """The tables of a TOML document; messages begin with `where`."""
    try:
        # tomllib's memory for a dotted key grows with the square of its length
        if len(text) > LARGEST_TOML:
            raise ValueError(f"expected at most {LARGEST_TOML:,} characters, got {len(text):,}")
        if any(line.count(".") > MOST_DOTS for line in text.splitlines()):
            raise ValueError(f"a line with more than {MOST_DOTS} dots")
        found = tomllib.loads(text)
        _check_limits(found)
    except (ValueError, RecursionError) as problem:
        raise error(f"{where} is not valid TOML: {_cause(problem)}") from None
    return found


def check_type(value: object, kind: type[T], where: object, error: Error = ValueError) -> T:
    """`value` itself, if it is what a type hint says; else an error that names the place in it.

    The hint is made of None, bool, int, float (which an int is too), str, Any, Literal, unions,
    lists, tuples, dicts with any keys, and TypedDicts, which may have other keys too.
    """
    problem = _mismatch(value, kind, "")
    if problem:
        raise error(f"{where}: {one_line(problem, LONGEST_LINE)}")
    return cast(T, value)


def _cause(problem: Exception) -> str:
    # in Python's own words the digits are too many for one of its settings, not for us
    if "sys.set_int_max_str_digits" in str(problem):
        return _TOO_LONG
    text = _TOO_DEEP if isinstance(problem, RecursionError) else str(problem)
    return one_line(text, LONGEST_LINE)


def _once(pairs: list[tuple[str, object]]) -> Json:
    result: Json = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"{shown(key)} given twice")
        result[key] = value
    return result


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{one_line(text, 60)} is not a finite number")
    return value


def _check_limits(document: object) -> None:
    """Raise ValueError for what the formats allow and no document of ours has."""
    level: list[object] = [document]
    for _ in range(DEEPEST):
        below: list[object] = []
        for value in level:
            if isinstance(value, dict):
                below += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str):
                if not value.isascii():
                    value.encode()      # half of a surrogate pair could not be written again
            elif type(value) is int and abs(value) >= 10**MOST_DIGITS:
                raise ValueError(_TOO_LONG)
        if not below:
            return
        level = below
    raise ValueError(_TOO_DEEP)


def _mismatch(value: object, kind: Any, place: str) -> str:
    """How a value differs from a type hint, beginning with its place; "" if it does not."""
    origin, args = get_origin(kind) or kind, get_args(kind)
    origin = _BUILTIN.get(origin, origin)
    if kind in (Any, object):
        return ""
    if origin in (Union, UnionType):
        problems = [_mismatch(value, arg, place) for arg in args]
        # the alternative that fits furthest into the value is the one that was meant
        return "" if "" in problems else max(problems, key=lambda problem: problem.find(":"))
    if origin is Literal:
        return "" if value in args else _expected(" or ".join(map(repr, args)), value, place)
    if is_typeddict(kind):
        origin, args = dict, (str, Any)
    if type(value) is not origin and not (origin is float and type(value) is int) and not (
            origin is tuple and type(value) is list and len(value) == len(args)):
        return _expected(_NAMES.get(origin, f"a list of {len(args)}"), value, place)
    for step, part, hint in _parts(value, kind, args):
        if part is _MISSING or (problem := _mismatch(part, hint, f"{place}{step}")):
            return f"{place}{step}".lstrip(".") + ": is missing" if part is _MISSING else problem
    return ""


def _parts(value: Any, kind: Any, args: tuple[Any, ...]) -> Iterator[tuple[str, object, Any]]:
    """The parts of a value that have a type hint: the step to one, itself, and its hint."""
    if is_typeddict(kind):
        for key, hint in _hints(kind).items():
            if key in value or key in kind.__required_keys__:
                yield f".{key}", value.get(key, _MISSING), hint
    elif type(value) is dict and args:
        yield from ((f".{one_line(key, 60)}", part, args[1]) for key, part in value.items())
    elif type(value) is list and args:
        hints = args if get_origin(kind) is tuple else args * len(value)
        yield from ((f"[{i}]", part, hint) for i, (part, hint) in enumerate(zip(value, hints)))


def _expected(what: str, value: object, place: str) -> str:
    return f"{place.lstrip('.') or 'its content'}: expected {what}, got {shown(value)}"
