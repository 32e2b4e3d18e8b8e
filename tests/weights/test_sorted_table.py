"""Indexes whose checksums are right and whose content is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from npgpt.params import check_params
from npgpt.weights import CheckpointError, load
from npgpt.weights.crc32c import masked_crc32c
from npgpt.weights.sorted_table import MAGIC, read_table, varint

GOLDEN = Path(__file__).parent.parent / "golden" / "openai_tf"


def number(value: int) -> bytes:
    """As base-128 digits, lowest first."""
    digits = [value >> 7 * i & 0x7F for i in range(max(1, -(-value.bit_length() // 7)))]
    return bytes([digit | 0x80 for digit in digits[:-1]] + digits[-1:])


def entries(pairs: dict[bytes, bytes]) -> bytes:
    found = b"".join(
        number(0) + number(len(key)) + number(len(value)) + key + value
        for key, value in pairs.items()
    )
    return found + bytes(4) + (1).to_bytes(4, "little")


def table(block: bytes, compression: int = 0) -> bytes:
    """A table of one data block, with every checksum right."""
    content = b""
    places = []
    for part in (block, entries({}), None):
        if part is None:
            part = entries({b"\xff": places[0]})
        places.append(number(len(content)) + number(len(part)))
        tail = part + bytes([compression])
        content += tail + masked_crc32c(tail).to_bytes(4, "little")
    footer = places[1] + places[2]
    return content + footer + bytes(40 - len(footer)) + MAGIC.to_bytes(8, "little")


def message(**fields: int | bytes) -> bytes:
    """A protocol buffer; f1=5 is field 1 as a number, f2=b"..." field 2 as bytes."""
    found = b""
    for name, value in fields.items():
        key = int(name[1:]) << 3
        if name == "f6":
            found += number(key | 5) + int(value).to_bytes(4, "little")
        elif isinstance(value, int):
            found += number(key) + number(value)
        else:
            found += number(key | 2) + number(len(value)) + value
    return found


def shape(*sizes: int) -> bytes:
    return b"".join(message(f2=message(f1=size)) for size in sizes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "124M"))


def test_a_table_with_shared_keys_is_read_and_a_varint_ends_where_it_ends(tmp_path: Path) -> None:
    shared = number(0) + number(4) + number(1) + b"abcd" + b"1"
    shared += number(2) + number(1) + number(2) + b"x" + b"22"
    (tmp_path / "t").write_bytes(table(shared + bytes(4) + (1).to_bytes(4, "little")))
    assert read_table(tmp_path / "t") == {"abcd": b"1", "abx": b"22"}
    assert varint(b"\xac\x02\x07", 0) == (300, 2)
    assert number(300) == b"\xac\x02"


WTE = message(f1=1, f2=shape(13, 6), f4=0, f5=312, f6=0)


@pytest.mark.parametrize("changes, expected", [
    ({"": message(f1=1, f2=1)}, "is big-endian"),
    ({"model/wte": None}, "has no model/wte"),
    ({"model/wte": message(f1=3, f2=shape(13, 6), f5=312)}, "a float, got TensorFlow's type 3"),
    ({"model/wte": WTE + message(f7=b"")}, "is stored in slices"),
    ({"model/wte": message(f1=1, f2=shape(13, 7), f5=312)}, r"has shape \(13, 7\) and 312 bytes"),
    ({"model/wte": message(f1=1, f2=shape(2**62, 4), f5=0)}, "4611686018427387904.* and 0 bytes"),
    ({"model/wte": message(f1=1, f2=shape(2**64 - 1), f5=0)}, "a shape has a negative size"),
    ({"model/wte": message(f1=1, f2=shape(*[1] * 9), f5=4)}, "a shape of 9 axes"),
    ({"model/wte": message(f1=1, f2=3, f5=4)}, "expected a message"),
    ({"model/wte": message(f1=b"x")}, "expected a number"),
    ({"model/wte": WTE + b"\x0b"}, "a field of the unknown kind"),
    ({"model/wte": message(f2=b"abc")[:-1]}, "a field is truncated"),
    ({"model/wte": b"\x08" + b"\xff" * 11}, "a number has more than 64 bits"),
    ({"model/wte": message(f1=1, f2=shape(13, 6), f3=1, f5=312)}, "is in shard 1 of 1"),
    ({"model/wte": message(f1=1, f2=shape(13, 6), f4=2**40, f5=312)}, "truncated: model/wte ends"),
    ({"": message(f1=100_000)}, "is in shard 0 of 100000"),
])
def test_entries_that_are_not_sound_are_rejected(
    folder: Path, changes: dict, expected: str
) -> None:
    found: dict[str, bytes | None] = {"": message(f1=1), "model/wte": WTE, **changes}
    pairs = {name.encode(): value for name, value in found.items() if value is not None}
    (folder / "model.ckpt.index").write_bytes(table(entries(pairs)))
    with pytest.raises(CheckpointError, match=expected) as caught:
        load(folder)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("block, expected", [
    (b"", "a block is shorter than its own list of restarts"),
    (b"\xff" * 8, "a block is shorter than its own list of restarts"),
    (number(5) + number(1) + number(1) + b"ab" + bytes(4) + b"\1\0\0\0", "is outside its block"),
    (number(0) + number(99) + number(1) + b"ab" + bytes(4) + b"\1\0\0\0", "is outside its block"),
    (entries({b"\xff\xfe": b""}), "can't decode byte 0xff"),
])
def test_blocks_that_are_unsound_are_rejected(tmp_path: Path, block: bytes, expected: str) -> None:
    (tmp_path / "x.index").write_bytes(table(block))
    with pytest.raises(CheckpointError, match=expected):
        load(tmp_path / "x.index")


def test_a_compressed_block_and_a_huge_file_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "x.index").write_bytes(table(entries({}), compression=1))
    with pytest.raises(CheckpointError, match="is compressed"):
        load(tmp_path / "x.index")
    with (tmp_path / "x.index").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(CheckpointError, match="x.index is too large"):
        load(tmp_path / "x.index")


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1,
                        max_size=3))
def test_an_index_that_was_changed_and_checksummed_again_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "changed"
    if not folder.exists():
        shutil.copytree(GOLDEN, folder)
    block = bytearray(entries({k.encode(): v for k, v in read_table(
        GOLDEN / "model.ckpt.index").items()}))
    for at, value in changes:
        block[at % len(block)] = value
    (folder / "model.ckpt.index").unlink()
    (folder / "model.ckpt.index").write_bytes(table(bytes(block)))
    try:
        config, params = load(folder)
    except CheckpointError as error:
        assert str(error).isprintable()
    else:
        check_params(config, params)
        assert all(np.isfinite(array).all() for array in params.values())
