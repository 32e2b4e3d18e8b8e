"""CRC-32C (Castagnoli) of large data with NumPy alone.

A CRC over zero start is linear: the CRC of a sum (xor) is the sum of the CRCs, and moving data one
place forward is a fixed 32 x 32 matrix over bits. So the data is arranged in rows of L words; L
lanes go down the rows side by side, one step being lane = advance(lane, L words) ^ row, where
advance is two look-ups in tables of 65536; at the end the lanes are folded in halves.
Source: RFC 3720 (the polynomial and its check value); LevelDB's table format (the mask).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..tape import Array

POLYNOMIAL = 0x82F63B78     # bits reversed, as the register shifts right
LANES = (64, 1024, 16384)
MASK_DELTA = 0xA282EAD8

# row k of a matrix is what a register with only bit k set becomes
Matrix = tuple[int, ...]


def crc32c(data: bytes | memoryview) -> int:
    """The CRC-32C of some bytes."""
    raw = np.frombuffer(data, np.uint8)
    start = _times(_advance(raw.size), 0xFFFFFFFF)
    return _from_zero(raw) ^ start ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | memoryview) -> int:
    """crc32c rotated and shifted, as LevelDB's tables and TensorFlow store it."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + MASK_DELTA) & 0xFFFFFFFF


def _from_zero(raw: Array) -> int:
    lanes = max((n for n in LANES if 32 * n <= raw.size), default=LANES[0])
    low, high = _tables(lanes)
    head = raw.size % (4 * lanes)
    # zeros in front change nothing when the register starts at zero
    state = np.zeros(4 * lanes, np.uint8)
    state[4 * lanes - head:] = raw[:head]
    state = state.view("<u4").astype(np.uint32)
    for row in raw[head:].view("<u4").reshape(-1, lanes):
        state = low[state & 0xFFFF] ^ high[state >> 16] ^ row
    while state.size > 1:
        half = state.size // 2
        low, high = _tables(half)
        left = state[:half]
        state = low[left & 0xFFFF] ^ high[left >> 16] ^ state[half:]
    return _times(_advance(4), int(state[0]))


@lru_cache(maxsize=None)
def _tables(words: int) -> tuple[Array, Array]:
    """Tables that advance the lower and the upper half of a register by so many words."""
    matrix = _advance(4 * words)
    tables = []
    for rows in (matrix[:16], matrix[16:]):
        table = np.zeros(1, np.uint32)
        for row in rows:
            table = np.concatenate([table, table ^ np.uint32(row)])
        tables.append(table)
    return tables[0], tables[1]


@lru_cache(maxsize=256)
def _advance(n_bytes: int) -> Matrix:
    """The matrix of n zero bytes passing through the register."""
    result = tuple(1 << bit for bit in range(32))
    for power in range(n_bytes.bit_length()):
        if n_bytes >> power & 1:
            result = tuple(_times(_doubled(power), row) for row in result)
    return result


@lru_cache(maxsize=None)
def _doubled(power: int) -> Matrix:
    """The matrix of 2**power zero bytes."""
    if power == 0:
        return tuple(_one_byte(1 << bit) for bit in range(32))
    half = _doubled(power - 1)
    return tuple(_times(half, row) for row in half)


def _one_byte(register: int) -> int:
    for _ in range(8):
        register = (register >> 1) ^ (POLYNOMIAL if register & 1 else 0)
    return register


def _times(matrix: Matrix, register: int) -> int:
    result = 0
    for bit, row in enumerate(matrix):
        if register >> bit & 1:
            result ^= row
    return result
