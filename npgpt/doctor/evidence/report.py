"""The report of a check: rows for a table, findings for a learner, and an exception."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

WIDTH = 80
MOST_HTML_ROWS = 20
_CODE = re.compile(r"`([^`]+)`")
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


class GradientMismatch(AssertionError):
    """A gradient is wrong; the message is the whole report, and `report` holds it."""

    def __init__(self, report: Report) -> None:
        super().__init__("\n" + str(report))
        self.report = report


@dataclass(frozen=True)
class Row:
    """One line of the table: an input of an op, and how far its gradient is from the numerical one.

    `error` is ||analytic - numeric|| / ||numeric||; where the gradient is zero in exact arithmetic
    (`zero` is then true) it is relative to the size that a gradient could have had. `tolerance` is
    what the check allowed for this row, `method` and `why` are how the derivative was taken.
    `noisy`: right up to rounding noise; `undecided`: not wrong, but the error bars are too wide to
    prove it right; `coarse`: forward computes in less than float64.
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
    noisy: bool = False
    undecided: bool = False
    coarse: bool = False

    @property
    def remarks(self) -> str:
        """What the table has behind the method, such as WRONG."""
        words = {
            "sampled": self.sampled,
            "zero": self.zero,
            "right up to noise": self.noisy,
            "UNDECIDED": self.undecided,
            "WRONG": not self.ok,
        }
        return ", ".join(word for word, holds in words.items() if holds)


@dataclass(frozen=True)
class Finding:
    """One fault: its stable name `kind`, where it is, the two numbers, and what it means in words.

    `index` is the worst element of `argument`; `error_bar` is the uncertainty of `numeric`;
    `evidence` is what the name rests on; `picture` is a small drawing of the wrong elements, or
    empty; `nonlinear` means that the message explains that backward is not linear in dout.
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
    nonlinear: bool = False


@dataclass(repr=False)
class Report:
    """The answer of a check: `ok` is true when there are no findings; print it to read it."""

    op: str
    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True when every gradient is right; false when one is wrong or nothing is proven."""
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

    def __repr__(self) -> str:
        # what `assert report.ok, report` and the interpreter show
        return self.text()

    def __str__(self) -> str:
        return self.text()

    def text(self, colour: bool = False, width: int = WIDTH) -> str:
        """The report as plain text of at most `width` columns; ANSI colours only when asked for."""
        return "\n".join(self._lines(colour, width))

    @property
    def _title(self) -> tuple[str, str]:
        """The heading, and its colour."""
        if self.ok:
            return f"{self.op}: every gradient is right", "green"
        if set(self.kinds) == {"undecided"}:
            return f"{self.op}: undecided", "yellow"
        count = len(self.findings)
        return f"{self.op}: {'one finding' if count == 1 else f'{count} findings'}", "red"

    def _paragraphs(self) -> Iterator[tuple[str, str]]:
        """What the report consists of, in order: (its role, its text)."""
        yield "title", self._title[0]
        if self.rows:
            yield "table", ""
            yield from (("small", line) for line in derivations(self.rows))
        for number, finding in enumerate(self.findings, start=1):
            yield "heading", f"{number}. {_heading(finding)}"
            evidence = "Evidence: " + finding.evidence if finding.evidence else ""
            # once for each kind
            more = "" if finding.kind in self.kinds[:number - 1] else (
                f"What this is and how to find it: npgpt explain {finding.kind}")
            for text in (finding.message, _numbers(finding), evidence, more):
                yield "text", text
            yield "picture", finding.picture
        yield from (("note", "Note: " + note) for note in self.notes)

    def _lines(self, colour: bool, width: int) -> Iterator[str]:
        hues = {"title": self._title[1], "heading": "bold"}
        before = ""
        for role, text in self._paragraphs():
            first_note = role == "note" and before != "note"
            if role in ("table", "heading") or first_note or (role == "picture" and text):
                yield ""
            if role == "table":
                yield from table(self.rows, colour, width)
                yield ""
            elif role == "picture":
                yield from (("   " + line)[:width].rstrip() for line in text.splitlines())
            else:
                for line in _wrap(text, width, "   " if role == "text" else ""):
                    yield paint(line, hues.get(role, ""), colour and role in hues)
            before = role

    def to_dict(self) -> dict[str, object]:
        """The report as plain values, such as JSON holds; numbers that are not finite are text."""
        findings = [{**asdict(finding), "explain": f"npgpt explain {finding.kind}"}
                    for finding in self.findings]
        return {"op": self.op, "ok": self.ok, "rows": [asdict(row) for row in self.rows],
                "findings": findings, "notes": list(self.notes)}

    def _repr_html_(self) -> str:
        colour = {"green": "#1a7f37", "yellow": "#9a6700", "red": "#b3261e"}[self._title[1]]
        forms = {
            "title": f"<p><b style='color:{colour}'>{{}}</b></p>",
            "small": "<p><small>{}</small></p>",
            "heading": "<p><b>{}</b></p>",
            "text": "<p style='margin:0 0 .3em 1.5em;max-width:45em'>{}</p>",
            "picture": "<pre style='margin-left:1.5em'>{}</pre>",
            "note": "<p style='max-width:45em'><small>{}</small></p>",
        }
        parts = []
        for role, text in self._paragraphs():
            if role == "table":
                parts += _html_table(self.rows)
            elif text:
                parts.append(forms[role].format(_CODE.sub(r"<code>\1</code>", html.escape(text))))
        return "\n".join(parts)


def _html_table(rows: list[Row]) -> list[str]:
    """The rows as a table, those that are not right first where there are many."""
    shown = sorted(rows, key=lambda row: row.ok and not row.undecided)[:MOST_HTML_ROWS]
    cells = ["".join(f"<th style='text-align:left'>{name}</th>" for name in _HEAD)]
    for row in rows if len(rows) <= MOST_HTML_ROWS else shown:
        style = "" if row.ok else " style='color:#b3261e'"
        cells.append("".join(f"<td{style}>{html.escape(c)}</td>" for c in _cells(row)))
    more = len(rows) - len(shown)
    return ["<table>", *(f"<tr>{row}</tr>" for row in cells), "</table>",
            *[f"<p><small>and {more} more inputs</small></p>"] * (more > 0)]


def _heading(finding: Finding) -> str:
    where = f" in the gradient of {finding.argument}" if finding.argument else ""
    return finding.kind + where


def _numbers(finding: Finding) -> str:
    if finding.analytic is None or finding.numeric is None or finding.index is None:
        return ""
    bar = f" +- {finding.error_bar:.0e}" if finding.error_bar else ""
    at = f"[{', '.join(map(str, finding.index))}]" if finding.index else ""
    name = finding.argument.split(", ")[0]  # where one fault is in several gradients: the first
    return (
        f"At {name}{at} the analytic gradient is {finding.analytic:.9g}, the numerical one "
        f"{finding.numeric:.9g}{bar}."
    )


_HEAD = ("input", "shape", "error", "allowed", "derivative", "")


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.argument,
        shape_text(row.shape),
        f"{row.error:.1e}",
        f"{row.tolerance:.1e}",
        row.method,
        row.remarks,
    )


def table(rows: list[Row], colour: bool = False, width: int = WIDTH) -> Iterator[str]:
    """The rows as lines of text: input, shape, relative error, what is allowed, how it was taken.

    Long names lose their beginning and long shapes their middle, so that a line fits `width`.
    """
    cells = [_HEAD, *(_cells(row) for row in rows)]
    names, shapes, *rest = (max(map(len, column)) for column in zip(*cells, strict=True))
    room = width - sum(rest) - 2 * (len(rest) + 1)
    shapes = min(shapes, max(8, room - min(names, 16)))
    names = min(names, max(8, room - shapes))
    for row, (name, shape, error, allowed, method, remarks) in zip([None, *rows], cells):
        if len(shape) > shapes:
            shape = shape[: shapes // 2 - 1] + ".." + shape[-(shapes - shapes // 2 - 1) :]
        line = (
            f"{name[-names:]:{names}}  {shape:{shapes}}  {error:>{rest[0]}}  "
            f"{allowed:>{rest[1]}}  {method:{rest[2]}}  {remarks}"
        )
        wrong = row is not None and not row.ok
        yield paint(line.rstrip()[:width], "red", colour and wrong)


def derivations(rows: list[Row]) -> list[str]:
    """How the derivatives were taken and why so: a sentence for each way, with its inputs."""
    ways: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        ways.setdefault((row.method, row.why), []).append(row.argument)
    return [
        f"{_several(names)}: {method} ({why})." for (method, why), names in ways.items()
    ]


def _several(names: list[str], most: int = 6) -> str:
    return ", ".join(names) if len(names) <= most else f"{len(names)} inputs"


def shape_text(shape: tuple[int, ...]) -> str:
    """(2, 3) as 2x3, and a scalar as 'scalar'."""
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
            break_on_hyphens=False,
        )
    return lines
