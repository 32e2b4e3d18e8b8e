"""Mutations of a file: of its bytes, of what is written in it, and of what stands in its place.

Each is drawn from a random.Random, so that a case is the same on every machine.
"""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path
from typing import Any, Callable

# what stands in a file's place, other than a file of another content
PLACES = ("missing", "folder", "fifo", "endless device", "empty device", "link to itself",
          "dangling link", "eight gigabytes of zeros")
DEEP = 100_000
ESCAPE = "\\u001b[31m"
# values as JSON writes them, some of which it must not
HOSTILE_JSON = (
    "null", "true", "false", "-1", "0", "1", "2", "7", "3.5", "-0.0", "1e308", "1e999", "1e-320",
    "NaN", "Infinity", "-Infinity", "9" * 400, "-" + "9" * 400, "9" * 5000, "1" + "0" * 19,
    "9223372036854775807", "-9223372036854775809", '""', '"x"', '"nan"', '"inf"', '"1"',
    '"\\u0000"', f'"{ESCAPE}red"', '"\\ud800"', '"\\n\\r"', '"' + "long " * 4000 + '"',
    '"../../etc/passwd"', "[]", "{}", "[1]", "[[]]", "[null]", '[{}, "a", 1]', '{"a": 1}',
    "[" * DEEP, "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP,
    "[" + "0," * 9999 + "0]",
)
HOSTILE_TOML = (
    "true", "-1", "0", "1", "2", "7", "3.5", "-0.0", "1e308", "1e999", "nan", "inf", "-inf",
    "9" * 400, "-" + "9" * 400, "9" * 5000, "9223372036854775807", '""', '"x"', "'1'",
    '"\\u0000"', f'"{ESCAPE}red"', '"\\n\\r"', '"' + "long " * 4000 + '"', "'''\n'''", "[]", "{}",
    "[1]", "[[]]", '[{}, "a", 1]', "{a = 1}", "[" * 5000 + "]" * 5000,
    "{a=" * 5000 + "1" + "}" * 5000,
    "1979-05-27", "1979-05-27T07:32:00Z", "07:32:00", "0x7fffffffffffffff", "[[1, 2], [3]]",
)
_HOLE = "a hole to be filled"


class Mutation:
    """What is done to a file: its new content, or what stands in its place; and in words."""

    def __init__(self, words: str, content: bytes | None = None, place: str = "") -> None:
        self.words, self.content, self.place = words, content, place

    def apply(self, path: Path) -> None:
        """Put it there; `path` must not exist."""
        if self.content is not None:
            path.write_bytes(self.content)
        elif self.place == "folder":
            path.mkdir()
        elif self.place == "fifo":
            os.mkfifo(path)
        elif self.place == "endless device":
            path.symlink_to("/dev/zero")
        elif self.place == "empty device":
            path.symlink_to("/dev/null")
        elif self.place == "link to itself":
            path.symlink_to(path)
        elif self.place == "dangling link":
            path.symlink_to(path.with_name("nowhere"))
        elif self.place == "eight gigabytes of zeros":
            path.touch()
            os.truncate(path, 2**33)


def mutation(
    rng: random.Random, name: str, content: bytes, others: dict[str, bytes],
    without: tuple[str, ...] = (),
) -> Mutation:
    """One mutation of a file of this name and content; `others` are files to put in its place."""
    drawn = rng.random()
    if drawn < 0.04:
        place = rng.choice([place for place in PLACES if place not in without])
        return Mutation(place, place=place)
    if drawn < 0.07:
        other = rng.choice(sorted(others))
        return Mutation(f"replaced by {other}", others[other])
    structured = _STRUCTURED.get(name.rpartition(".")[2])
    if structured is not None and drawn < 0.6:
        try:
            return Mutation(*structured(rng, content))
        except (ValueError, KeyError, IndexError):
            pass            # the original is of another form, such as a TOML without a table
    return Mutation(*_of_bytes(rng, content))


def _of_bytes(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    size = len(content)
    at, end = sorted(rng.randrange(size + 1) for _ in range(2))
    end = min(end, at + rng.choice((1, 8, 64, 10**9)))
    kind = rng.randrange(14)
    if kind < 3 and size:
        place, bit = rng.randrange(size), rng.randrange(8)
        flipped = bytes([content[place] ^ 1 << bit])
        return f"bit {bit} of byte {place} flipped", content[:place] + flipped + content[place + 1:]
    if kind == 3 and size:
        place, value = rng.randrange(size), rng.randrange(256)
        return (f"byte {place} set to {value}",
                content[:place] + bytes([value]) + content[place + 1:])
    if kind == 4:
        return f"truncated to {at} bytes", content[:at]
    if kind == 5:
        return f"{end - at} bytes deleted at {at}", content[:at] + content[end:]
    if kind == 6:
        return f"{end - at} bytes at {at} doubled", content[:end] + content[at:]
    if kind == 7:
        return f"zeros from {at} to {end}", content[:at] + bytes(end - at) + content[end:]
    if kind == 8:
        junk = rng.randbytes(rng.choice((1, 2, 8, 500)))
        return f"{len(junk)} random bytes inserted at {at}", content[:at] + junk + content[at:]
    if kind == 9:
        middle = (at + end) // 2
        return (f"blocks from {at} to {end} swapped",
                content[:at] + content[middle:end] + content[at:middle] + content[end:])
    if kind == 10:
        junk = rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\xff", b"\xc3", b"\0", b"\x1b[2J",
                           b"\r\n", b"\x7f", "\u2028\u202e".encode(), b"\xed\xa0\x80"))
        place = rng.choice((0, at, size))
        return f"{junk!r} inserted at {place}", content[:place] + junk + content[place:]
    if kind == 11:
        return "emptied", b""
    if kind == 12 and size >= 16:
        place = 4 * rng.randrange(min(size // 4, rng.choice((16, 10**9))))
        number = rng.choice((0, 1, 2, -1, 2**31 - 1, -2**31, 2**16, 10**6))
        return (f"the int32 at byte {place} set to {number}",
                content[:place] + number.to_bytes(4, "little", signed=True) + content[place + 4:])
    return f"{size} random bytes", rng.randbytes(size)


def _of_json(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    words, text = _changed_json(rng, json.loads(content))
    return words, text.encode("utf-8", "surrogatepass")


def _of_lines(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """One line of a file of JSON lines changed, dropped, doubled, or swapped with another."""
    lines = content.decode().splitlines()
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(6)
    if kind == 0:
        words, lines = f"line {at} dropped", lines[:at] + lines[at + 1:]
    elif kind == 1:
        words, lines = f"line {at} doubled", lines[:at + 1] + lines[at:]
    elif kind == 2:
        words = f"lines {at} and {other} swapped"
        lines[at], lines[other] = lines[other], lines[at]
    else:
        words, lines[at] = _changed_json(rng, json.loads(lines[at]))
        words = f"line {at}: {words}"
    return words, "\n".join([*lines, ""]).encode("utf-8", "surrogatepass")


def _of_safetensors(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """The JSON header changed, its length right."""
    length = int.from_bytes(content[:8], "little")
    words, text = _changed_json(rng, json.loads(content[8:8 + length]))
    header = text.encode("utf-8", "surrogatepass")
    return f"header: {words}", len(header).to_bytes(8, "little") + header + content[8 + length:]


def _changed_json(rng: random.Random, value: Any) -> tuple[str, str]:
    """In words, and as text: one value changed, or one key."""
    places = list(_places(value))
    literal = rng.choice(HOSTILE_JSON)
    if not places or rng.random() < 0.03:
        return f"all of it is {literal:.30}", literal
    holder, key = rng.choice(places)
    kind = rng.randrange(8)
    if kind < 5 or isinstance(holder, list):
        old, holder[key] = holder[key], _HOLE
        wrapped = {0: f"[{json.dumps(old)}]", 1: f'{{"a": {json.dumps(old)}}}'}
        literal = wrapped.get(rng.randrange(16), literal)
        return f"{key} is {literal:.30}", json.dumps(value).replace(json.dumps(_HOLE), literal)
    if kind == 5:
        del holder[key]
        return f"{key} deleted", json.dumps(value)
    if kind == 6:
        holder[_HOLE] = holder[key] if rng.random() < 0.5 else None
        doubled = json.dumps(value).replace(json.dumps(_HOLE), json.dumps(key))
        return f"{key} given twice", doubled
    new = _mistyped(rng, key)
    holder[new] = holder.pop(key)
    return f"{key} written as {new!r:.30}", json.dumps(value)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) in a JSON value."""
    found = []
    items = (value.items() if isinstance(value, dict)
             else enumerate(value) if isinstance(value, list) else ())
    for key, part in items:
        found.append((value, key))
        found += _places(part)
    return found


def _mistyped(rng: random.Random, key: str) -> str:
    at = rng.randrange(len(key) + 1)
    return rng.choice((key[:at] + key[at + 1:], key[:at] + "x" + key[at:], key.upper(), "",
                       f"{key} ", f"\x1b[2J{key}", key * 500))


def _of_toml(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """One line of a TOML file changed: its value, its key, or the line as such."""
    lines = content.decode().splitlines()
    settings = [at for at, line in enumerate(lines) if re.match(r'\s*["\w.-]+\s*=', line)]
    at = rng.choice(settings)
    key, _, old = lines[at].partition("=")
    literal = rng.choice(HOSTILE_TOML)
    kind = rng.randrange(9)
    if kind < 5:
        words, lines[at] = f"{key.strip()} = {literal:.30}", f"{key}= {literal}"
    elif kind == 5:
        words = f"the line of {key.strip()} dropped"
        del lines[at]
    elif kind == 6:
        words = f"the line of {key.strip()} doubled"
        lines.insert(at, lines[at])
    elif kind == 7:
        new = _mistyped(rng, key.strip())
        words, lines[at] = f"{key.strip()} written as {new!r:.30}", f"{new} ={old}"
    else:
        table = rng.choice(("[model]", "[[arm]]", "[x]", "[" * 3000, "[a" + ".a" * 5000 + "]",
                            "[]", "= 1"))
        words = f"{table:.20} before {key.strip()}"
        lines.insert(at, table)
    return words, "\n".join([*lines, ""]).encode("utf-8", "surrogatepass")


_STRUCTURED: dict[str, Callable[[random.Random, bytes], tuple[str, bytes]]] = {
    "json": _of_json, "jsonl": _of_lines, "safetensors": _of_safetensors, "toml": _of_toml,
}
