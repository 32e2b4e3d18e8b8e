"""A figure that the book prints beside the one computed here, and whether the two agree."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from functools import partial
from typing import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

# float32 arithmetic in another order moves a result by about this much of the largest in its row
FLOAT32_NOISE = 4e-6

SAME, ROUNDING, DIFFERENT = "yes", "rounding", "no"


@dataclass(frozen=True)
class Figure:
    """One printed result: a number, a row, a matrix, or one text.

    name        what it is
    printed     its numbers as printed, with white space between, empty lines ignored; or a text,
                if `computed` is a str
    computed    the same numbers in the same order, any shape; or a str
    source      who printed it
    section     where the book prints it: "3.5.1"
    item        more exactly, if known: "listing 3.3", whose code computes it, or "exercise 4.1"
    """

    name: str
    printed: str
    computed: ArrayLike
    source: str = "book"
    section: str = ""
    item: str = ""

    def rows(self) -> list[tuple[list[str], list[str], str]]:
        """(printed, computed in the same digits, verdict) of each printed line."""
        if isinstance(self.computed, str):
            verdict = SAME if self.printed == self.computed else DIFFERENT
            return [(self.printed.split(" "), self.computed.split(" "), verdict)]
        values = np.asarray(self.computed).ravel().tolist()
        lines = [line.split() for line in self.printed.splitlines() if line.strip()]
        n_printed = sum(map(len, lines))
        if n_printed != len(values):
            raise ValueError(f"{self.name}: {n_printed} numbers printed, {len(values)} computed")
        result, start = [], 0
        for words in lines:
            here = values[start:start + len(words)]
            start += len(words)
            written = [write_as(word, value) for word, value in zip(words, here)]
            noise = FLOAT32_NOISE * max((abs(v) for v in here if math.isfinite(v)), default=0.0)
            verdict = worst([_verdict(*each, noise) for each in zip(words, written, here)])
            result.append((words, written, verdict))
        return result

    @property
    def verdict(self) -> str:
        """SAME: every digit printed; ROUNDING: as close as float32 can come; or DIFFERENT."""
        return worst([verdict for _, _, verdict in self.rows()])

    @property
    def n_numbers(self) -> int:
        """How many numbers were printed; a text counts as one."""
        return 1 if isinstance(self.computed, str) else np.size(self.computed)


@dataclass(frozen=True)
class TextFigure(Figure):
    """A text of the book known by its digest: `printed` is the first 16 digits of its sha256."""

    computed: str

    def rows(self) -> list[tuple[list[str], list[str], str]]:
        """One line: the digest, the text written here, and the verdict."""
        here = hashlib.sha256(self.computed.encode()).hexdigest()[:len(self.printed)]
        verdict = SAME if here == self.printed else DIFFERENT
        return [(["sha256", self.printed], self.computed.split(" "), verdict)]


Parts = Mapping[str, Callable[[], Iterator[Figure]]]
"""What computes the figures of some sections; the key names them, with spaces between."""


def at(section: str, item: str = "") -> partial[Figure]:
    """`Figure` for one place in the book: at("3.5.3", "listing 3.3")(name, printed, computed)."""
    return partial(Figure, section=section, item=item)


def figures_of(parts: Parts, section: str = "") -> Iterator[Figure]:
    """The figures of these parts, all or those of one section; only its part is computed."""
    for sections, compute in parts.items():
        if any(_within(part, section) or _within(section, part) for part in sections.split()):
            yield from (figure for figure in compute() if _within(figure.section, section))


def _within(section: str, whole: str) -> bool:
    """Whether 3.5.1 lies in 3.5: it does, and in 3, and in "", which is the book."""
    return not whole or f"{section}.".startswith(f"{whole}.")


def worst(verdicts: Sequence[str]) -> str:
    """The worst of some verdicts."""
    return max(verdicts, key=(SAME, ROUNDING, DIFFERENT).index, default=SAME)


def write_as(printed: str, value: float) -> str:
    """value in the digits of `printed`: "0.2098" asks for four decimals, "1,132" for commas."""
    number = re.fullmatch(r"-?[\d,]+(?:\.(?P<decimals>\d*))?(?P<exponent>e[-+]\d+)?", printed)
    if number is None or not math.isfinite(value):
        return str(value)
    decimals = len(number["decimals"] or "")
    if number["exponent"]:
        return f"{value:.{decimals}e}"
    text = f"{value:,.{decimals}f}" if "," in printed else f"{value:.{decimals}f}"
    if number["decimals"] == "":
        text += "."
    # a zero has no sign worth comparing
    return text[1:] if float(text.replace(",", "")) == 0 and text[0] == "-" else text


def _verdict(printed: str, written: str, value: float, noise: float) -> str:
    if printed == written:
        return SAME
    try:
        wanted = float(printed.replace(",", ""))
    except ValueError:
        return DIFFERENT
    mantissa, _, exponent = printed.partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
    half_a_digit = 0.5 * 10.0 ** -decimals
    near = abs(value - wanted) <= half_a_digit + noise
    return ROUNDING if near and "." in printed else DIFFERENT
