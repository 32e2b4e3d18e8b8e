"""Documents from outside: whatever they hold, it is read or an error of one line."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any, Callable, Literal, Mapping, Sequence, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.documents import (
    LARGEST,
    check_type,
    decode,
    open_regular,
    parse_json,
    parse_toml,
    read_bytes,
    read_json,
    read_text,
)


class Bad(ValueError):
    """The error of a room."""


@pytest.mark.parametrize("content, says", [
    (b"", "is not valid JSON: Expecting value"),
    (b"{", "is not valid JSON: Expecting property name"),
    (b"[1]", r"is not a JSON object: got \[1\]"),
    (b"\xff\xfe{", "is not UTF-8 text: invalid byte 0xff at 0"),
    (b"\xef\xbb\xbf{\xff}", "is not UTF-8 text: invalid byte 0xff at 4"),
    (b'{"a": 1, "b": 2, "a": 3}', "is not valid JSON: 'a' given twice"),
    (b'{"a": {"b": 1, "b": 1}}', "is not valid JSON: 'b' given twice"),
    (b'{"a": NaN}', "is not valid JSON: NaN is not a finite number"),
    (b'{"a": -Infinity}', "is not valid JSON: -Infinity is not a finite number"),
    (b'{"a": 1e999}', "is not valid JSON: 1e999 is not a finite number"),
    (b'{"a": "\\ud800"}', "is not valid JSON: .*surrogate"),
    (b'{"\\ud800": 1}', "is not valid JSON: .*surrogate"),
    (b"[" * 100_000, "is not valid JSON: nested more than 64 levels deep"),
    (b'{"a":' * 100_000, "is not valid JSON: nested more than 64 levels deep"),
    (b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}", "is not valid JSON: nested more than 64 levels"),
    (b'{"a": ' + b"9" * 301 + b"}", "is not valid JSON: an integer of more than 300 digits"),
    (b'{"a": -' + b"9" * 400 + b"}", "is not valid JSON: an integer of more than 300 digits"),
    (b'{"a": ' + b"9" * 9000 + b"}", "is not valid JSON: an integer of more than 300 digits"),
    (b'{"' + b"a" * 9000 + b'": x}', "is not valid JSON"),
])
def test_json_that_cannot_be_used_is_an_error_of_the_callers_kind(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(content)
    with pytest.raises(Bad, match=f"f.json {says}") as caught:
        read_json(path, Bad)
    assert len(str(caught.value)) < 600 and str(caught.value).isprintable()


@pytest.mark.parametrize("content, says", [
    ("a = ", "Invalid value"),
    ("a = 1\na = 2", "Cannot overwrite a value"),
    ("a = " + "[" * 100_000, "nested more than 64 levels deep"),
    ("a = " + "[" * 70 + "]" * 70, "nested more than 64 levels deep"),
    ("a" + ".a" * 100 + " = 1", "nested more than 64 levels deep"),
    ("a" + ".a" * 100_000 + " = 1", "a line with more than 256 dots"),
    ("[a" + ".a" * 100_000 + "]", "a line with more than 256 dots"),
    ("a = " + "9" * 400, "an integer of more than 300 digits"),
    ("a = " + "9" * 9000, "an integer of more than 300 digits"),
    ("a = 0x" + "f" * 9000, "an integer of more than 300 digits"),
    ("#" * 2**20 + "#", "expected at most 1,048,576 characters, got 1,048,577"),
])
def test_toml_that_cannot_be_used_is_an_error_of_the_callers_kind(
    content: str, says: str
) -> None:
    with pytest.raises(Bad, match=f"f.toml is not valid TOML: {says}") as caught:
        parse_toml(content, "f.toml", Bad)
    assert len(str(caught.value)) < 600 and str(caught.value).isprintable()


def test_a_byte_order_mark_is_left_out_once(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes('{"a": "ä"}\r\n'.encode("utf-8-sig"))
    assert read_json(path) == {"a": "ä"}
    assert read_text(path) == '{"a": "ä"}\r\n'
    assert decode("\ufeff\ufeffa".encode(), "f") == "\ufeffa"
    assert parse_toml(decode(b"\xef\xbb\xbfa = 1", "f"), "f") == {"a": 1}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


READERS = [open_regular, read_bytes, read_text, read_json]


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@pytest.mark.parametrize("make, what", [
    (fifo, "a FIFO"), (device, "a device"), (Path.mkdir, "a folder"),
])
def test_only_a_regular_file_is_opened(
    tmp_path: Path, read: Callable[..., Any], make: Callable[[Path], None], what: str
) -> None:
    make(tmp_path / "f")
    with pytest.raises(Bad, match=f"f is {what}; expected a regular file"):
        read(tmp_path / "f", Bad)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_a_file_that_is_not_there_is_the_systems_error(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "f", Bad)


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with path.open("wb") as file:
        file.truncate(2**33)                # a hole: it takes no room on the disk
    tracemalloc.start()
    for read in READERS[1:]:
        with pytest.raises(Bad, match=f"f is too large: expected at most {LARGEST:,} bytes"):
            read(path, Bad)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


class Inner(TypedDict):
    """A part of a document."""

    n: int
    curve: Sequence[tuple[int, float | Literal["nan"] | None]]


class Outer(TypedDict, total=False):
    """A document."""

    inner: Inner | None
    parts: list[Inner]
    numbers: dict[str, float]
    record: Mapping[str, object]
    anything: Any
    on: bool


GOOD: dict[str, Any] = {
    "inner": {"n": 1, "curve": [[1, 2.0], [2, 3], [3, "nan"], [4, None]], "more": []},
    "parts": [{"n": 1, "curve": []}], "numbers": {"a": 1, "b": 2.5}, "record": {}, "anything": [1],
    "on": False,
}


@pytest.mark.parametrize("document, says", [
    ([], "f: its content: expected an object, got []"),
    ({"inner": 3}, "f: inner: expected an object, got 3"),
    ({"inner": {"n": 1}}, "f: inner.curve: is missing"),
    ({"inner": {"n": True, "curve": []}}, "f: inner.n: expected an integer, got True"),
    ({"inner": {"n": 1.0, "curve": []}}, "f: inner.n: expected an integer, got 1.0"),
    ({"inner": {"n": 1, "curve": [[1, 2], [1]]}},
     "f: inner.curve[1]: expected a list of 2, got [1]"),
    ({"inner": {"n": 1, "curve": [[1, "inf"]]}}, "f: inner.curve[0][1]: expected"),
    ({"inner": {"n": 1, "curve": [[1, []]]}}, "f: inner.curve[0][1]: expected"),
    ({"parts": {}}, "f: parts: expected a list, got {}"),
    ({"parts": [GOOD["inner"], {"n": 1}]}, "f: parts[1].curve: is missing"),
    ({"numbers": {"a": "1"}}, "f: numbers.a: expected a number, got '1'"),
    ({"record": []}, "f: record: expected an object, got []"),
    ({"on": 1}, "f: on: expected true or false, got 1"),
])
def test_the_first_place_that_is_not_as_the_type_says_is_named(document: Any, says: str) -> None:
    assert check_type(GOOD, Outer, "f") is GOOD
    with pytest.raises(Bad) as caught:
        check_type(document, Outer, "f", Bad)
    assert str(caught.value).startswith(says)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(st.dictionaries(st.text(), JSON))
def test_a_sound_document_is_read_as_it_is(document: dict[str, Any]) -> None:
    text = json.dumps(document).encode()
    assert parse_json(text, "f") == document == json.loads(text)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_document_or_an_error_of_one_line(content: bytes) -> None:
    for parse in (parse_json, lambda raw, *rest: parse_toml(decode(raw, *rest), *rest)):
        try:
            assert isinstance(parse(content, "f", Bad), dict)
        except Bad as error:
            assert str(error).startswith("f is not ") and str(error).isprintable()
