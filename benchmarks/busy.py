"""What becomes of npgpt, one thread of it and its rivals on a machine that others use too.

    python -m benchmarks --busy 0 2 4            beside none, two and four programs that never rest

The rows are all ways to compute: training, prefill, decoding, writing past the context (as samples
in training are written), evaluation and gradient checks. benchmarks.report writes their table.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import Any, Iterator

from .suite import Contestant, Row, rows

FOLDER = "busy"
# a step of T 1024 would take minutes beside four programs; its threads are those of T 64
SHARED = ("train-recipe", "train-six", "train-gpt2-64", "prefill", "decode")
ONE = "one thread"
# beyond this a row is marked: time over that of one thread, and over the quiet machine's ratio
MOST, FURTHER = 1.5, 1.1
# never rests, and ends with whoever started it
LOOP = "import os\nwhile os.getppid() == {}:\n    sum(range(10**5))"


@contextlib.contextmanager
def loops(n: int) -> Iterator[None]:
    """Beside what is done in here, n processes compute without a pause."""
    code = LOOP.format(os.getpid())
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(n)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def busy_rows() -> list[Row]:
    """The rows: npgpt with all threads and with one, and the rival that does the same work."""
    shared = [_row(row.name, row.label, row.contestants["npgpt"][1], row.rival,
                   row.contestants[row.rival])
              for row in rows() if row.name in SHARED]
    small = {"size": "recipe"}
    return [
        *shared,
        _row("generate", "200 characters by the recipe's model, context 64",
             {"work": "generate", **small}, "eager", ("torch_busy", {"work": "generate", **small})),
        _row("evaluate", "evaluation of the recipe's model, B12 T64",
             {"work": "evaluate", **small}, "eager", ("torch_busy", {"work": "evaluate", **small})),
        _row("gradcheck", "gradient check of a small model", {"work": "gradcheck"}),
    ]


def _row(
    name: str, label: str, job: dict[str, Any], rival: str = ONE, other: Contestant | None = None
) -> Row:
    contestants: dict[str, Contestant] = {
        "npgpt": ("npgpt_busy", job), ONE: ("npgpt_busy", {**job, "threads": 1})}
    return Row(name, label, contestants | ({rival: other} if other else {}), rival)


def table(results: list[dict[str, Any]]) -> str:
    """A Markdown table: beside so many loops, npgpt's time over its rival's and over one thread's.

    Marked in bold is what is beyond MOST and FURTHER.
    """
    loads = sorted({int(n) for result in results for n in result["beside"]})
    heads = [f"over {what}, {_beside(n)}" for what in ("its rival", "one thread") for n in loads]
    lines = [f"| work | {' | '.join(heads)} |", f"|{'---|' * (1 + len(heads))}"]
    for result in results:
        rival, held = result["rival"], result["beside"]
        theirs = {n: _ratio(held, n, rival) for n in loads} if rival != ONE else {}
        quiet = theirs.get(loads[0]) or float("inf")
        cells = [_cell(theirs.get(n), FURTHER * quiet) + (f" ({rival})" if n == loads[0] and
                 theirs.get(n) else "") for n in loads]
        cells += [_cell(_ratio(held, n, ONE), MOST) for n in loads]
        lines.append(f"| {result['label']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _beside(n: int) -> str:
    return f"beside {n}" if n else "quiet"


def _ratio(held: dict[str, Any], n: int, column: str) -> float | None:
    ratio = held.get(str(n), {}).get("columns", {}).get(column, {}).get("npgpt_ratio")
    return None if ratio is None else float(ratio)


def _cell(ratio: float | None, most: float) -> str:
    if ratio is None:
        return ""
    return f"**{ratio:.2f}**" if ratio > most else f"{ratio:.2f}"
