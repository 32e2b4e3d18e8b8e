from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from npgpt.weights import CheckpointError
from npgpt.weights.safetensors_file import (
    read_arrays,
    read_metadata,
    read_safetensors,
    write_safetensors,
)

from .raw import header_of, write_raw

PAIR = {"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.arange(4, dtype="f4")}


def test_what_is_written_is_what_the_safetensors_library_reads(tmp_path: Path, params) -> None:
    doubles = {f"{name}.double": array.astype("f8").T for name, array in params.items()}
    tensors = {**params, **doubles}
    write_safetensors(tmp_path / "f.safetensors", tensors, {"format": "pt"})
    theirs = load_file(tmp_path / "f.safetensors")
    assert set(theirs) == set(tensors)
    for name, array in tensors.items():
        assert theirs[name].dtype == array.dtype
        np.testing.assert_array_equal(theirs[name], array)
    assert read_metadata(tmp_path / "f.safetensors") == {"format": "pt"}


def test_what_the_safetensors_library_writes_is_read(tmp_path: Path) -> None:
    save_file({**PAIR, "c": np.ones((2, 1), "f2"), "d": np.zeros(3, "i8")}, tmp_path / "f")
    found = read_safetensors(tmp_path / "f")
    assert {name: (stored.shape, stored.dtype) for name, stored in found.items()} == {
        "a": ((2, 3), "F32"), "b": ((4,), "F32"), "c": ((2, 1), "F16"), "d": ((3,), "I64"),
    }
    np.testing.assert_array_equal(found["a"].read(np.dtype("f4")), PAIR["a"])
    np.testing.assert_array_equal(found["c"].read(np.dtype("f8")), 1.0)


SIZES = {1: "BOOL U8 I8 F8_E4M3 F8_E5M2", 2: "U16 I16 F16 BF16", 4: "U32 I32 F32",
         8: "U64 I64 F64 C64"}


@pytest.mark.parametrize(("size", "dtype"), [
    (size, dtype) for size, dtypes in SIZES.items() for dtype in dtypes.split()
])
def test_every_type_of_the_format_has_its_size_as_the_library_has_it(
    tmp_path: Path, size: int, dtype: str
) -> None:
    raw = {"a": np.zeros(3 * size, "u1")}
    header = {"a": {"dtype": dtype, "shape": [3], "data_offsets": [0, 3 * size]}}
    write_raw(tmp_path / "f", raw, header)
    found = read_safetensors(tmp_path / "f")["a"]
    assert (found.dtype, found.shape) == (dtype, (3,))
    with safe_open(tmp_path / "f", framework="np") as theirs:
        assert theirs.get_slice("a").get_dtype() == dtype


def test_tensors_may_be_named_in_another_order_than_they_lie(tmp_path: Path) -> None:
    header = header_of(PAIR)
    write_raw(tmp_path / "f", PAIR, {"b": header["b"], "a": header["a"]})
    found = read_safetensors(tmp_path / "f")
    for name, array in PAIR.items():
        np.testing.assert_array_equal(found[name].read(np.dtype("f4")), array)


def test_a_shape_may_have_eight_axes_and_no_more(tmp_path: Path) -> None:
    for axes in (8, 9):
        write_raw(tmp_path / str(axes), {"a": np.ones((1,) * axes, "f4")})
    assert read_safetensors(tmp_path / "8")["a"].shape == (1,) * 8
    with pytest.raises(CheckpointError, match="a: invalid shape"):
        read_safetensors(tmp_path / "9")


def test_the_tensors_start_where_they_can_be_mapped(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "f", {**PAIR, "c": np.ones((), "f8")}, {"format": "pt"})
    for stored in read_safetensors(tmp_path / "f").values():
        wanted = np.dtype("f8" if stored.dtype == "F64" else "f4")
        array = stored.read(wanted)
        assert array.flags.aligned and not array.flags.owndata


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_written_file_may_be_read_by_whom_the_umask_lets(
    tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        write_safetensors(tmp_path / "f", PAIR)
    finally:
        os.umask(before)
    assert (tmp_path / "f").stat().st_mode & 0o777 == mode


def test_a_folder_that_is_missing_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        write_safetensors(tmp_path / "missing" / "f", PAIR)
    assert caught.value.errno == errno.ENOENT


@pytest.mark.parametrize(("theirs", "code"), [
    ("I/O error: No space left on device (os error 28)", errno.ENOSPC), ("who knows", errno.EIO),
])
def test_an_error_of_the_library_while_writing_becomes_an_os_error_with_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: str, code: int
) -> None:
    def fail(*args: object) -> None:
        raise SafetensorError(theirs)

    monkeypatch.setattr("safetensors.numpy.save_file", fail)
    with pytest.raises(OSError) as caught:
        write_safetensors(tmp_path / "f", PAIR)
    assert (caught.value.errno, caught.value.strerror) == (code, os.strerror(code))
    assert caught.value.filename == str(tmp_path / "f")


def test_arrays_are_read_and_an_unsound_file_is_rejected(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "f", {**PAIR, "turned": PAIR["a"].T, "i": np.arange(3)})
    found = read_arrays(tmp_path / "f")
    np.testing.assert_array_equal(found["turned"], PAIR["a"].T)
    assert found["i"].dtype == np.int64
    with pytest.raises(CheckpointError, match="no such file"):
        read_arrays(tmp_path / "g")
    (tmp_path / "g").write_bytes(b"{}")
    with pytest.raises(CheckpointError, match="not a sound safetensors file"):
        read_arrays(tmp_path / "g")


def entry(**changes: object) -> dict:
    header = header_of(PAIR)
    header["b"].update(changes)
    return header


@pytest.mark.parametrize("header, message", [
    ([], "its header is not a JSON object"),
    ({"a": 3}, "a: expected an object with dtype, shape and data_offsets"),
    (entry(dtype="F31"), "b: unknown dtype F31"),
    (entry(dtype=["F32"]), "b: unknown dtype"),
    (entry(dtype=None), "b: unknown dtype None"),
    (entry(dtype="F64"), "b: F64 .* needs 32 bytes"),
    (entry(shape=[-4]), "b: invalid shape"),
    (entry(shape=[4.0]), "b: invalid shape"),
    (entry(shape=[True]), "b: invalid shape"),
    (entry(shape=4), "b: invalid shape"),
    (entry(shape=[2**62, 4]), "b: F32 .* needs 73786976294838206464 bytes"),
    (entry(shape=[2**32, 2**32]), "b: F32 .* needs 73786976294838206464 bytes"),
    (entry(shape=[2**63]), "b: invalid shape"),
    (entry(shape=[10**40]), "b: invalid shape"),
    (entry(shape=[2**62] * 200_000), "b: invalid shape"),
    (entry(data_offsets=24), "b: invalid data_offsets"),
    (entry(data_offsets=[24]), "b: invalid data_offsets"),
    (entry(data_offsets=[24, 40, 40]), "b: invalid data_offsets"),
    (entry(data_offsets=[24, None]), "b: invalid data_offsets"),
    (entry(data_offsets=[24.0, 40.0]), "b: invalid data_offsets"),
    (entry(data_offsets=[40, 24]), "needs .* bytes, got"),
    (entry(data_offsets=[20, 36]), "b overlaps a"),
    (entry(data_offsets=[28, 44]), "b leaves 4 bytes unused after a"),
    (entry(data_offsets=[2**60, 2**60 + 16]), "bytes unused after a"),
    ({**header_of(PAIR), "c": {"dtype": "F32", "shape": [1], "data_offsets": [40, 44]}},
     "is truncated: its tensors need 44 bytes, got 40"),
    ({"a": {"dtype": "F32", "shape": [9], "data_offsets": [4, 40]}},
     "a leaves 4 bytes unused after the header"),
    ({"a": header_of(PAIR)["a"]}, "has 16 bytes after its last tensor"),
])
def test_a_header_that_is_not_sound_is_rejected(
    tmp_path: Path, header: object, message: str
) -> None:
    write_raw(tmp_path / "f.safetensors", PAIR, header)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_safetensors(tmp_path / "f.safetensors")
    assert "f.safetensors" in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize("text, message", [
    (b"{", "its header is not valid JSON"),
    (b'{"a": NaN}', "its header is not valid JSON: NaN is not a finite number"),
    (b'{"a": {}}', "a: unknown dtype None"),
    (b"\xff\xfe", "its header is not UTF-8 text"),
    (b"[" * 100_000, "its header is not valid JSON"),
    (b"9" * 10_000, "its header is not valid JSON"),
    (b'{"a": 1, "b": 2, "a": 3}', "'a' given twice"),
    (b"{}", "contains no tensor"),
])
def test_a_header_that_is_not_json_is_rejected(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "f").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(CheckpointError, match=message):
        read_safetensors(tmp_path / "f")


def test_metadata_must_be_an_object_and_only_its_strings_are_read(
    tmp_path: Path,
) -> None:
    write_raw(tmp_path / "f", PAIR, {**header_of(PAIR), "__metadata__": {"a": "x", "b": 3}})
    assert read_metadata(tmp_path / "f") == {"a": "x"}
    write_raw(tmp_path / "f", PAIR, {**header_of(PAIR), "__metadata__": [1]})
    with pytest.raises(CheckpointError, match="its __metadata__ is not a JSON object"):
        read_metadata(tmp_path / "f")


def test_what_only_the_library_rejects_is_a_checkpoint_error_too(tmp_path: Path) -> None:
    write_raw(tmp_path / "f", PAIR, {**header_of(PAIR), "__metadata__": {"a": 3}})
    with pytest.raises(CheckpointError, match="f: is not a sound safetensors file"):
        read_arrays(tmp_path / "f")


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 10**9, 300, 3])
def test_a_header_that_announces_more_than_follows_is_rejected(tmp_path: Path, length: int) -> None:
    (tmp_path / "f").write_bytes(length.to_bytes(8, "little") + b"{}")
    with pytest.raises(CheckpointError, match=f"expected a header of {length} bytes, got 2"):
        read_safetensors(tmp_path / "f")


@pytest.mark.parametrize("length", [0, 7])
def test_a_file_without_the_length_of_a_header_is_truncated(tmp_path: Path, length: int) -> None:
    (tmp_path / "f").write_bytes(bytes(length))
    with pytest.raises(CheckpointError, match=f"f: is truncated: .*, got {length} bytes"):
        read_safetensors(tmp_path / "f")


def test_a_header_of_more_than_32_megabytes_is_rejected_unread(tmp_path: Path) -> None:
    length = 2**25 + 1
    with (tmp_path / "f").open("wb") as file:
        file.write(length.to_bytes(8, "little"))
        file.truncate(8 + length)               # a hole: it takes no room on the disk
    with pytest.raises(CheckpointError, match=f"expected a header of {length} bytes"):
        read_safetensors(tmp_path / "f")
