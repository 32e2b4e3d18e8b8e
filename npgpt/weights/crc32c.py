"""CRC-32C (Castagnoli) of large data with NumPy alone.

A CRC over zero start is linear: the CRC of a sum (xor) is the sum of the CRCs, and moving data n
bytes forward multiplies the register, a polynomial over bits, by x^8n modulo POLYNOMIAL. So the
data is arranged in rows of L words; L lanes go down the rows side by side, one step being lane =
advance(lane, L words) ^ row, where advance is two look-ups in tables of 65536; at the end the lanes
are folded in halves.
Source: RFC 3720 (the polynomial and its check value); LevelDB's table format (the mask).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..tape import Array

POLYNOMIAL = 0x82F63B78     # bits reversed, as the register shifts right
LANES = (64, 1024, 16384)
MASK_DELTA = 0xA282EAD8
ONE = 1 << 31


def crc32c(data: bytes | memoryview) -> int:
    """The CRC-32C of some bytes."""
    raw = np.frombuffer(data, np.uint8)
    start = _multiplied(_power(raw.size), 0xFFFFFFFF)
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
    return _multiplied(_power(4), int(state[0]))


@lru_cache(maxsize=None)
def _tables(words: int) -> tuple[Array, Array]:
    """Tables that advance the lower and the upper half of a register by so many words."""
    factor = _power(4 * words)
    tables = []
    for bits in (range(16), range(16, 32)):
        table = np.zeros(1, np.uint32)
        for bit in bits:
            table = np.concatenate([table, table ^ np.uint32(_multiplied(factor, 1 << bit))])
        tables.append(table)
    return tables[0], tables[1]


@lru_cache(maxsize=256)
def _power(n_bytes: int) -> int:
    """x^8n, by which n zero bytes multiply the register."""
    result, square = ONE, ONE >> 8
    while n_bytes:
        if n_bytes & 1:
            result = _multiplied(result, square)
        square = _multiplied(square, square)
        n_bytes >>= 1
    return result


def _multiplied(a: int, b: int) -> int:
    """a * b modulo POLYNOMIAL; as in the register, the highest bit is the coefficient of 1."""
    result = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            result ^= b
        b = (b >> 1) ^ (POLYNOMIAL if b & 1 else 0)
    return result
