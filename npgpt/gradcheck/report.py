"""What a check says: rows for a table, findings for a learner, and an exception."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

WIDTH = 80
_COLOURS = {"red": "31", "green": "32", "bold": "1", "dim": "2"}


class GradientMismatch(AssertionError):
    """A gradient is wrong; the message is the whole report, and `report` holds it."""

    def __init__(self, report: Report) -> None:
        super().__init__("\n" + str(report))
        self.report = report


@dataclass(frozen=True)
class Row:
    """One line of the table: an input of an op, and how far its gradient is from the numbers.

    `error` is ||analytic - numeric|| / ||numeric||; where the gradient is zero in exact arithmetic
    (`zero` is then true) it is relative to the size that a gradient could have had. `tolerance` is
    what the check allowed for this row.
    """

    op: str
    argument: str
    shape: tuple[int, ...]
    error: float
    method: str
    why: str
    tolerance: float = 1e-10
    ok: bool = True
    zero: bool = False
    sampled: bool = False


@dataclass(frozen=True)
class Finding:
    """One fault: its stable name `kind`, where it is, the two numbers, and what it means in words.

    `index` is the worst element of `argument`; `error_bar` is the uncertainty of `numeric`;
    `evidence` says what the name rests on; `picture` is a small drawing of the wrong elements, or
    empty.
    """

    kind: str
    argument: str
    message: str
    index: tuple[int, ...] | None = None
    analytic: float | None = None
    numeric: float | None = None
    error_bar: float | None = None
    evidence: str = ""
    picture: str = ""


@dataclass(repr=False)
class Report:
    """The answer of a check: `ok` is true when there are no findings; print it to read it."""

    op: str
    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """True when nothing was found wrong."""
        return not self.findings

    @property
    def kinds(self) -> list[str]:
        """The names of the faults found, in the order of the report."""
        return [finding.kind for finding in self.findings]

    @property
    def worst(self) -> float:
        """The largest error of any row; 0.0 when there is none."""
        return max((row.error for row in self.rows), default=0.0)

    def raise_if_wrong(self) -> Report:
        """Raise GradientMismatch with the report if there is a finding; else return it."""
        if not self.ok:
            raise GradientMismatch(self)
        return self

    def as_dict(self) -> dict[str, Any]:
        """The report as plain lists, numbers and strings, ready for JSON."""
        return {
            "op": self.op,
            "ok": self.ok,
            "rows": [dict(vars(row), shape=list(row.shape)) for row in self.rows],
            "findings": [
                dict(vars(f), index=None if f.index is None else list(f.index))
                for f in self.findings
            ],
            "notes": list(self.notes),
            "seconds": self.seconds,
        }

    def __repr__(self) -> str:
        # what `assert report.ok, report` and the interpreter show
        return self.text()

    def __str__(self) -> str:
        return self.text()

    def text(self, colour: bool = False, width: int = WIDTH) -> str:
        """The report as plain text of at most `width` columns; ANSI colours only when asked for."""
        return "\n".join(self._lines(colour, width))

    def _lines(self, colour: bool, width: int) -> Iterator[str]:
        if self.ok:
            yield paint(f"{self.op}: every gradient is right", "green", colour)
        else:
            count = len(self.findings)
            noun = "one finding" if count == 1 else f"{count} findings"
            yield paint(f"{self.op}: {noun}", "red", colour)
        if self.rows:
            yield ""
            yield from table(self.rows, colour, width)
        for number, finding in enumerate(self.findings, start=1):
            yield ""
            where = f" in the gradient of {finding.argument}" if finding.argument else ""
            yield from _wrap(paint(f"{number}. {finding.kind}{where}", "bold", colour), width, "")
            yield from _wrap(finding.message, width, "   ")
            numbers = _numbers(finding)
            if numbers:
                yield from _wrap(numbers, width, "   ")
            if finding.evidence:
                yield from _wrap("Evidence: " + finding.evidence, width, "   ")
            if finding.picture:
                yield ""
                for line in finding.picture.splitlines():
                    yield ("   " + line)[:width].rstrip()
        if self.notes:
            yield ""
        for note in self.notes:
            yield from _wrap("Note: " + note, width, "")

    def _repr_html_(self) -> str:
        colour = "#1a7f37" if self.ok else "#b3261e"
        word = "every gradient is right" if self.ok else ", ".join(dict.fromkeys(self.kinds))
        parts = [f"<p><b style='color:{colour}'>{html.escape(f'{self.op}: {word}')}</b></p>"]
        if self.rows:
            head = "".join(f"<th>{h}</th>" for h in ("input", "shape", "error", "method", ""))
            parts.append(f"<table><tr>{head}</tr>")
            for row in self.rows:
                shape = shape_text(row.shape)
                cells = (
                    row.argument,
                    shape,
                    f"{row.error:.1e}",
                    row.method,
                    "ok" if row.ok else "wrong",
                )
                parts.append(
                    "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>"
                )
            parts.append("</table>")
        for finding in self.findings:
            where = f" in the gradient of {finding.argument}" if finding.argument else ""
            parts.append(f"<h4>{html.escape(finding.kind + where)}</h4>")
            parts.append(f"<p>{html.escape(finding.message)}</p>")
            for extra in (_numbers(finding), finding.evidence):
                if extra:
                    parts.append(f"<p><small>{html.escape(extra)}</small></p>")
            if finding.picture:
                parts.append(f"<pre>{html.escape(finding.picture)}</pre>")
        parts += [f"<p><small>{html.escape(note)}</small></p>" for note in self.notes]
        return "\n".join(parts)


def _numbers(finding: Finding) -> str:
    if finding.analytic is None or finding.numeric is None or finding.index is None:
        return ""
    bar = f" +- {finding.error_bar:.0e}" if finding.error_bar else ""
    at = f"[{', '.join(map(str, finding.index))}]" if finding.index else ""
    return (
        f"At {finding.argument}{at} backward says {finding.analytic:.9g}, the numbers say "
        f"{finding.numeric:.9g}{bar}."
    )


def table(rows: list[Row], colour: bool = False, width: int = WIDTH) -> Iterator[str]:
    """The rows as lines of text: op, input, shape, worst relative error, method."""
    ops = max(max(len(row.op) for row in rows), 2)
    names = max(max(len(row.argument) for row in rows), 5)
    shapes = max(max(len(shape_text(row.shape)) for row in rows), 5)
    over = ops + names + shapes + 38 - width
    ops, names = (ops - max(0, over), names) if over < ops - 8 else (8, max(8, names - over))
    yield f"{'op':{ops}}  {'input':{names}}  {'shape':{shapes}}  {'error':>8}  method"
    for row in rows:
        method = row.method + (" (sampled)" if row.sampled else "")
        line = (
            f"{row.op[:ops]:{ops}}  {row.argument[-names:]:{names}}  "
            f"{shape_text(row.shape):{shapes}}  {row.error:8.1e}  "
        )
        verdict = "" if row.ok else "  WRONG"
        line = line + method[: max(4, width - len(line) - len(verdict))] + verdict
        yield line.rstrip() if row.ok else paint(line, "red", colour)


def shape_text(shape: tuple[int, ...]) -> str:
    """(2, 3) as 2x3, and a single number as 'scalar'."""
    return "x".join(map(str, shape)) or "scalar"


def paint(text: str, colour: str, on: bool) -> str:
    """`text` in an ANSI colour when `on`, else as it is."""
    return f"\033[{_COLOURS[colour]}m{text}\033[0m" if on else text


def _wrap(text: str, width: int, indent: str) -> list[str]:
    lines: list[str] = []
    for paragraph in text.splitlines():
        lines += textwrap.wrap(
            paragraph,
            width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
        )
    return lines
