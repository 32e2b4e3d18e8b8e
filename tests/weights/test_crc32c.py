from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.weights.crc32c import crc32c, masked_crc32c


def bit_by_bit(data: bytes) -> int:
    """The definition, as RFC 3720 gives it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize("data, expected", [
    (b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E), (bytes(range(31, -1, -1)), 0x113FDB5C),
])
def test_the_check_values_of_rfc_3720(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


@given(st.binary(max_size=3000))
def test_equals_the_definition_for_any_bytes(data: bytes) -> None:
    assert crc32c(data) == bit_by_bit(data)


@pytest.mark.parametrize("size", [32 * 64 - 1, 32 * 64, 32 * 1024 + 5, 32 * 16384 + 3])
def test_equals_the_definition_where_the_number_of_lanes_changes(size: int) -> None:
    data = bytes((i * i + i // 7) & 0xFF for i in range(size))
    assert crc32c(data) == bit_by_bit(data)


def test_the_mask_can_be_taken_off_again() -> None:
    crc = masked_crc32c(b"123456789")
    rotated = (crc - 0xA282EAD8) & 0xFFFFFFFF
    assert ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF == 0xE3069283
