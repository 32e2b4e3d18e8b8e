"""The curves of growth.py as lines for a terminal, as the page's section, and as a chart."""

from __future__ import annotations

import math
from html import escape
from typing import Any, Callable, Sequence

from .report import duration

COLOURS = {"npgpt": "#0072b2", "PyTorch": "#d55e00", "llm.c": "#009e73", "fast mode": "#cc79a7",
           "tiktoken": "#cc79a7"}
WIDE, HIGH, LEFT, TOP = 230, 130, 62, 46


def exponent(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """The slope of ln y over ln x by least squares; None for fewer than two points."""
    pairs = [(math.log(x), math.log(y)) for x, y in zip(xs, ys) if x > 0 and y > 0]
    if len(pairs) < 2:
        return None
    mean_x, mean_y = (sum(values) / len(pairs) for values in zip(*pairs))
    spread = sum((x - mean_x)**2 for x, _ in pairs)
    return sum((x - mean_x) * (y - mean_y) for x, y in pairs) / spread if spread else None


def memory_exponent(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """The same of memory, a + b x**p: of differences, in which what the libraries take cancels.

    Exact for sizes that grow by one factor. Differences below a fiftieth of the largest are noise
    of the allocator, and left out.
    """
    steps = [(x, b - a) for x, a, b in zip(xs, ys, ys[1:])]
    largest = max((step for _, step in steps), default=0.0)
    kept = [(x, step) for x, step in steps if step > largest / 50]
    return exponent([x for x, _ in kept], [step for _, step in kept])


def series(points: dict[str, Any], name: str, what: str) -> tuple[list[int], list[float]]:
    """The sizes at which a contestant was measured, and its `median` or `peak_bytes` there."""
    found = [(int(x), point["columns"][name][what]) for x, point in points.items()
             if name in point["columns"]]
    found.sort()
    return [x for x, _ in found], [y for _, y in found]


def contestants(points: dict[str, Any]) -> list[str]:
    """Everyone who took part at any size, npgpt first."""
    return list(dict.fromkeys(name for x in sorted(points, key=int)
                              for name in points[x]["columns"]))


def lines(curve: Any, points: dict[str, Any]) -> list[str]:
    """A curve for a terminal of 80 columns: a line for each size, and the exponents."""
    names = contestants(points)
    # npgpt's own time; of the others how many times theirs it is
    heads = ["npgpt", *(f"/{other}" for other in names[1:]),
             *(f"MB {who}" for who in ("", *names[1:2]))]
    made = [f"  {curve.unit:>9}" + "".join(f"{head:>13}" for head in heads)]
    for x in sorted(points, key=int):
        columns = points[x]["columns"]
        cells = [duration(columns["npgpt"]["median"])]
        cells += [f"{columns[other]['npgpt_ratio']:.2f}" if other in columns else ""
                  for other in names[1:]]
        cells += [f"{columns[who]['peak_bytes'] / 1e6:.0f}" if who in columns else ""
                  for who in names[:2]]
        made.append(f"  {int(x):>9}" + "".join(f"{cell:>13}" for cell in cells))
    for what, fit, word in (("median", exponent, "time"),
                            ("peak_bytes", memory_exponent, "memory")):
        found = [f"{who} {_number(fit(*series(points, who, what)))}" for who in names]
        made.append(f"  exponents of {word}: {', '.join(found)}")
    return made


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def section(curves: dict[str, Any], found: dict[str, Any]) -> str:
    """The section `growth` of benchmarks/README.md: a summary, the chart, every point folded."""
    head = ["what grows: in which work", "from", "to", "npgpt's time", "time over its rival's",
            "exponent of time", "of its rival's", "npgpt's peak memory", "its rival's",
            "exponent of memory", "of its rival's"]
    table = [_row(head), "|" + "---|" * len(head)]
    for name, curve in curves.items():
        if found.get(name):
            table.append(_row(_summary(curve, found[name])))
    machines = [point["machine"] for points in found.values() for point in points.values()]
    text = ["\n".join(table), _words(machines), "![time and peak memory as work grows]"
            "(results/growth.svg)", "<details><summary>every point</summary>"]
    for name, curve in curves.items():
        if found.get(name):
            text.append(f"**{curve.label}**\n\n" + "\n".join(_points(curve, found[name])))
    return "\n\n".join([*text, "</details>"])


def _summary(curve: Any, points: dict[str, Any]) -> list[str]:
    sizes = sorted(points, key=int)
    first, last = (points[x]["columns"] for x in (sizes[0], sizes[-1]))
    who = ["npgpt", curve.rival]
    times = [_number(exponent(*series(points, name, "median"))) for name in who]
    memory = [_number(memory_exponent(*series(points, name, "peak_bytes"))) for name in who]
    ratios = [f"{columns[curve.rival]['npgpt_ratio']:.2f}" if curve.rival in columns else "-"
              for columns in (first, last)]
    rivals = _to(*(f"{c[curve.rival]['peak_bytes'] / 1e6:.0f}" if curve.rival in c else "-"
                   for c in (first, last)))
    return [curve.label, f"{int(sizes[0]):,}", f"{int(sizes[-1]):,} {curve.unit}",
            _to(*(duration(c["npgpt"]["median"]) for c in (first, last))),
            f"{_to(*ratios)} ({curve.rival})", *times,
            _to(*(f"{c['npgpt']['peak_bytes'] / 1e6:.0f}" for c in (first, last))) + " MB",
            f"{rivals} MB", *memory]


def _to(first: str, last: str) -> str:
    return f"{first} to {last}"


def _points(curve: Any, points: dict[str, Any]) -> list[str]:
    names = contestants(points)
    head = [curve.unit, "npgpt", *(f"over {name}" for name in names[1:]),
            *(f"MB of {name}" for name in names)]
    table = [_row(head), "|" + "---|" * len(head)]
    for x in sorted(points, key=int):
        columns = points[x]["columns"]
        cells = [f"{int(x):,}", duration(columns["npgpt"]["median"])]
        cells += [f"{columns[name]['npgpt_ratio']:.2f}" if name in columns else ""
                  for name in names[1:]]
        cells += [f"{columns[name]['peak_bytes'] / 1e6:.0f}" if name in columns else ""
                  for name in names]
        table.append(_row(cells))
    return table


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _words(machines: list[dict[str, Any]]) -> str:
    where = dict.fromkeys(f"{m['cores']} cores of {m['processor']}" for m in machines)
    when = sorted({m["date"] for m in machines})
    commits = sorted({m["commit"] for m in machines if m.get("commit")})
    days = when[0] if len(when) == 1 else f"{when[0]} to {when[-1]}"
    return (
        "Medians of rounds in which all take turns, each in a process of its own, on "
        f"{' and on '.join(where)}, {days}, npgpt at {', '.join(commits)}. A ratio is npgpt's "
        "time over the other's: below 1 npgpt is quicker. Exponents are slopes of least squares "
        "in logarithms; those of memory are fitted to the differences between neighbouring "
        "sizes, so that what interpreter and libraries take cancels. PyTorch's attention is its "
        "scaled_dot_product_attention. Written by `python -m benchmarks.growth --write`."
    )


def chart(curves: dict[str, Any], found: dict[str, Any]) -> str:
    """Two panels for each curve, time and peak memory, both axes logarithmic."""
    shown = [(curve, found[name]) for name, curve in curves.items() if found.get(name)]
    step_x, step_y = WIDE + LEFT + 24, HIGH + TOP + 34
    rows = -(-len(shown) // 2)
    width, height = 4 * step_x + 8, rows * step_y + 16
    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for i, (curve, points) in enumerate(shown):
        left, top = LEFT + 2 * step_x * (i % 2), TOP + step_y * (i // 2)
        made.append(f'<text x="{left - LEFT + 10}" y="{top - 24}" font-weight="bold">'
                    f'{escape(curve.label)}</text>')
        made += _panel(points, "median", duration, left, top)
        made += _panel(points, "peak_bytes", _megabytes, left + step_x, top)
        made += _legend(points, left, top + HIGH + 32)
        made.append(f'<text x="{left + WIDE}" y="{top - 8}" text-anchor="end" fill="#666666">time'
                    f'</text><text x="{left + step_x + WIDE}" y="{top - 8}" text-anchor="end" '
                    'fill="#666666">peak memory</text>')
    return "\n".join([*made, "</svg>", ""])


def _megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"


def _legend(points: dict[str, Any], left: float, y: float) -> list[str]:
    made, x = [], float(left)
    for name in contestants(points):
        made.append(f'<line x1="{x}" y1="{y - 4}" x2="{x + 16}" y2="{y - 4}" '
                    f'stroke="{COLOURS[name]}" stroke-width="2"/>'
                    f'<text x="{x + 20}" y="{y}">{escape(name)}</text>')
        x += 36 + 7 * len(name)
    return made


def _panel(
    points: dict[str, Any], what: str, words: Callable[[float], str], left: float, top: float
) -> list[str]:
    drawn = {name: series(points, name, what) for name in contestants(points)}
    xs = sorted({x for values, _ in drawn.values() for x in values})
    values = [y for _, ys in drawn.values() for y in ys]
    low, high = math.log(min(values) / 1.2), math.log(max(values) * 1.2)
    first, last = math.log(xs[0]), math.log(max(xs[-1], xs[0] + 1))

    def at(x: float, y: float) -> tuple[float, float]:
        return (left + WIDE * (math.log(x) - first) / (last - first),
                top + HIGH * (high - math.log(y)) / (high - low))

    made = [f'<rect x="{left}" y="{top}" width="{WIDE}" height="{HIGH}" fill="none" '
            'stroke="#bbbbbb"/>']
    for x in xs:
        across = at(x, min(values))[0]
        made.append(f'<line x1="{across:.1f}" y1="{top}" x2="{across:.1f}" y2="{top + HIGH}" '
                    f'stroke="#eeeeee"/><text x="{across:.1f}" y="{top + HIGH + 14}" '
                    f'text-anchor="middle" font-size="10">{x}</text>')
    for y in {min(values), max(values)}:
        made.append(f'<text x="{left - 4}" y="{at(xs[0], y)[1] + 4:.1f}" text-anchor="end" '
                    f'font-size="10">{words(y)}</text>')
    # npgpt last, over the others
    for name, (sizes, ys) in reversed(drawn.items()):
        places = [at(x, y) for x, y in zip(sizes, ys)]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        made.append(f'<polyline fill="none" stroke-width="2" stroke="{COLOURS[name]}" '
                    f'points="{line}"/>')
        made += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5" fill="{COLOURS[name]}"/>'
                 for a, b in places]
    return made
