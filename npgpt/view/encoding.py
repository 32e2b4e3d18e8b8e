"""Arrays and text as a page holds them: three significant digits in two bytes, or exactly.

Three digits d3: a mantissa from 100 to 999, one of 36 powers of ten and a sign are fewer than 2^16
combinations. So a code is two bytes, and what it stands for is a number rounded to three decimal
digits; what is more than 36 powers of ten below the largest of its array becomes 0. Base 85 makes
four bytes five characters; exact numbers, which are for local use, stand in base 64.

    value = mantissa * 10^(base + power)
    code  = 1 + (power + 36 * negative) * 900 + mantissa - 100
    0 is zero, 65533 NaN, 65534 inf, 65535 -inf
"""

from __future__ import annotations

import base64
import json
import math

import numpy as np

from .. import documents
from ..tape import Array
from ..training.log import plain

Json = documents.Json
"""An object of the page's JSON; its keys are described in README.md."""

POWERS, MANTISSAS = 36, 900
NAN, INF, MINUS_INF = 65533, 65534, 65535
# base 85 but for three characters that a page would have to escape
_HARMLESS = str.maketrans("<>&", ",.:")
_BACK = str.maketrans(",.:", "<>&")
# of a scalar on a page whose arrays have three
DIGITS = 6


def encoded(array: Array, exact: bool = False, triangle: bool = False) -> Json:
    """An array of any shape for the page.

    `triangle` stores of (..., T, T) only what is not above the diagonal, row by row.
    """
    array = np.asarray(array)
    flat = array[..., *np.tril_indices(array.shape[-1])] if triangle else array
    shape: Json = {"shape": list(array.shape)} | ({"tri": True} if triangle else {})
    if exact:
        kind = "f8" if array.dtype == np.float64 else "f4"
        return shape | {"e": kind, "data": _text(flat.astype(f"<{kind}"))}
    codes, base = _three_digits(np.ravel(flat).astype(np.float64))
    padded = np.append(codes, np.zeros(len(codes) % 2, codes.dtype)).tobytes()
    text = base64.b85encode(padded).decode("ascii").translate(_HARMLESS)
    return shape | {"e": "d3", "base": base, "data": text}


def decoded(packed: Json) -> Array:
    """The numbers that `encoded` stored, in float64; above a triangle's diagonal zeros."""
    shape, data = tuple(packed["shape"]), packed["data"]
    if packed["e"] == "d3":
        codes = np.frombuffer(base64.b85decode(data.translate(_BACK)), "<u2")
        flat = _from_digits(codes, packed["base"])
    else:
        flat = np.frombuffer(base64.b64decode(data), f"<{packed['e']}").astype(np.float64)
    if not packed.get("tri"):
        # an odd count of codes was padded
        return flat[:math.prod(shape)].reshape(shape)
    out = np.zeros(shape)
    places = np.tril_indices(shape[-1])
    count = math.prod(shape[:-2]) * len(places[0])
    out[..., *places] = flat[:count].reshape(*shape[:-2], -1)
    return out


def written(payload: Json, exact: bool = False) -> str:
    """The payload as JSON that can stand within a page's script element, whatever its text."""
    text = json.dumps(plain(payload, 17 if exact else DIGITS), allow_nan=False,
                      ensure_ascii=False, separators=(",", ":"))
    # only strings hold these, and JSON reads the escapes back: no </script>, no <!--
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _three_digits(flat: Array) -> tuple[Array, int]:
    codes = np.zeros(flat.shape, "<u2")
    usable = np.isfinite(flat) & (np.abs(flat) > 1e-290)
    size = np.abs(flat[usable])
    power = np.floor(np.log10(size)).astype(np.int64) - 2
    mantissa = np.rint(size / 10.0 ** power).astype(np.int64)
    # a logarithm that was rounded across a power of ten, and 999.5 that is rounded to 1000
    power += (mantissa >= 1000).astype(np.int64) - (mantissa < 100)
    mantissa = np.clip(np.rint(size / 10.0 ** power).astype(np.int64), 100, 999)
    base = int(power.max()) - POWERS + 1 if len(power) else 0
    place = power - base + POWERS * (flat[usable] < 0)
    codes[usable] = np.where(power >= base, 1 + place * MANTISSAS + mantissa - 100, 0)
    codes[np.isnan(flat)] = NAN
    codes[np.isposinf(flat)] = INF
    codes[np.isneginf(flat)] = MINUS_INF
    return codes, base


def _from_digits(codes: Array, base: int) -> Array:
    place, mantissa = np.divmod(codes.astype(np.int64) - 1, MANTISSAS)
    sign = np.where(place >= POWERS, -1.0, 1.0)
    # infinities for special codes, which are replaced below
    with np.errstate(over="ignore", invalid="ignore"):
        out: Array = sign * (mantissa + 100) * 10.0 ** (base + place % POWERS)
    out[codes == 0] = 0.0
    for code, value in ((NAN, np.nan), (INF, np.inf), (MINUS_INF, -np.inf)):
        out[codes == code] = value
    return out


def _text(array: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
