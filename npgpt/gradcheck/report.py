"""The report of a check: a row for each input, as a table; and an exception."""

from __future__ import annotations

from dataclasses import dataclass

_HEAD = ("input", "shape", "error", "allowed", "derivative", "")


class GradientMismatch(AssertionError):
    """A gradient is wrong, or nothing is proven; the message is the report, as is `report`."""

    def __init__(self, report: Report) -> None:
        super().__init__(f"\n{report}")
        self.report = report


@dataclass(frozen=True)
class Row:
    """One input: how far its gradient is from the numeric one.

    `error` is ||given - numeric|| / ||numeric||, or relative to what the gradient could have been
    where it is zero; `tolerance` is what was allowed; `method` is how the derivative was taken and
    `why` so, or what is wrong; `verdict` is "right", "wrong" or "undecided".
    """

    argument: str
    shape: tuple[int, ...]
    error: float
    tolerance: float
    method: str
    why: str
    verdict: str


@dataclass(frozen=True, repr=False)
class Report:
    """The answer of a check; print it to read it."""

    op: str
    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        """Whether every gradient is proven right; false where there was nothing to check."""
        return bool(self.rows) and all(row.verdict == "right" for row in self.rows)

    @property
    def worst(self) -> float:
        """The largest error of any row; 0.0 without rows."""
        return max((row.error for row in self.rows), default=0.0)

    def raise_if_wrong(self) -> Report:
        """Raise GradientMismatch unless every gradient is right; else return the report."""
        if not self.ok:
            raise GradientMismatch(self)
        return self

    def __repr__(self) -> str:
        verdicts = {row.verdict for row in self.rows}
        worst = next((v for v in ("wrong", "undecided", "right") if v in verdicts), "")
        title = {"wrong": "a gradient is wrong", "undecided": "undecided",
                 "right": "every gradient is right", "": "no input has a gradient to check"}[worst]
        lines = [_HEAD] + [
            (row.argument, "x".join(map(str, row.shape)) or "scalar", f"{row.error:.1e}",
             f"{row.tolerance:.1e}", row.method, "" if row.verdict == "right" else row.verdict)
            for row in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(*lines)]
        table = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip()
                 for line in lines[:1 if not self.rows else None]]
        reasons = [f"{row.argument}: {row.why}" for row in self.rows if row.why]
        return "\n".join([f"{self.op}: {title}", "", *table, "", *reasons])
