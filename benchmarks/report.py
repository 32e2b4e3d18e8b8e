"""The README's table and the chart, from the files in benchmarks/results.

    python -m benchmarks.report            rewrites README.md between its markers, and speed.svg
    python -m benchmarks.report --print    the table alone, to the terminal
"""

from __future__ import annotations

import argparse
import json
import sys
from html import escape
from pathlib import Path
from typing import Any

from .suite import rows

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
BEGIN = "<!-- speed: written by python -m benchmarks.report -->"
END = "<!-- end of speed -->"
NOT_IN_TABLE = ("ops",)


# the process that starts the others is what was measured there
NO_MEMORY = ("import",)


def main() -> int:
    """Write table and chart, or print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--print", action="store_true", help="print the table and write nothing")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", metavar="FILE")
    args = parser.parse_args()
    results = read_results(args.results)
    if not results:
        print(f"no results in {args.results}; run python -m benchmarks first", file=sys.stderr)
        return 3
    text = table(results)
    if args.print:
        print(text)
        return 0
    (args.results / "speed.svg").write_text(chart(results), encoding="utf-8")
    readme = args.readme.read_text(encoding="utf-8")
    args.readme.write_text(between_markers(readme, text), encoding="utf-8")
    return 0


def read_results(folder: Path) -> list[dict[str, Any]]:
    """The results in the suite's order; rows without a file are left out."""
    files = [folder / f"{row.name}.json" for row in rows()]
    return [json.loads(path.read_text(encoding="utf-8")) for path in files if path.exists()]


def between_markers(readme: str, text: str) -> str:
    """The README with `text` between the two markers; ValueError if they are not there."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README needs the two lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def table(results: list[dict[str, Any]]) -> str:
    """A Markdown table: our time, and it over each other column's."""
    lines = [
        "| work | npgpt | over its rival | goal | over the others | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        if result["name"] in NOT_IN_TABLE:
            continue
        columns, rival = result["columns"], result["rival"]
        ours = columns["npgpt"]
        ratio = f"{columns[rival]['npgpt_ratio']:.2f} ({rival})" if rival in columns else ""
        others = ", ".join(
            f"{name} {column['npgpt_ratio']:.2f}" for name, column in columns.items()
            if name not in ("npgpt", rival)
        )
        bar = f"{result['bar']:.2f}" if result["bar"] else ""
        lines.append(
            f"| {result['label']} | {duration(ours['median'])} | {ratio} | {bar} | {others} "
            f"| {'' if result['name'] in NO_MEMORY else _memory(columns, rival)} |"
        )
    machine = results[0]["machine"]
    versions = ", ".join(
        f"{name} {machine[name]}" for name in ("numpy", "torch", "transformers")
        if machine.get(name)
    )
    lines.append("")
    lines.append(
        f"Medians of {min(r['pairs'] for r in results)} or more rounds in which all take turns, "
        f"on {machine['cores']} cores of {machine['processor']}, Python {machine['python']}, "
        f"{versions}. A ratio is npgpt's time over the other's: below 1 npgpt is quicker. "
        "`products` are the bare matrix products of the same step: the floor."
    )
    return "\n".join(lines)


def _memory(columns: dict[str, Any], rival: str) -> str:
    ours = columns["npgpt"]["peak_bytes"]
    text = f"{ours / 1e6:.0f} MB"
    if rival in columns:
        text += f", {ours / columns[rival]['peak_bytes']:.2f} of {rival}'s"
    return text


def duration(seconds: float) -> str:
    """Seconds as a short text with a unit."""
    if seconds >= 10:
        return f"{seconds:.0f} s"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def chart(results: list[dict[str, Any]]) -> str:
    """An SVG of bars: npgpt's time over each peer's, with a line at 1."""
    bars = [
        (result["label"], name, column["npgpt_ratio"])
        for result in results if result["name"] not in NOT_IN_TABLE
        for name, column in result["columns"].items()
        if name not in ("npgpt", "products", "kept", "float32")
    ]
    height, width, left, scale = 22 * len(bars) + 50, 860, 440, 180.0
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{left}" y="18">npgpt\'s time over the other\'s: left of the line npgpt is '
        "quicker</text>",
    ]
    for i, (label, name, ratio) in enumerate(bars):
        y = 30 + 22 * i
        length = min(ratio, 2.1) * scale
        colour = "#0072b2" if ratio <= 1.0 else "#d55e00"
        lines.append(
            f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(label)}: {escape(name)}'
            f'</text><rect x="{left}" y="{y}" width="{length:.1f}" height="16" fill="{colour}"/>'
            f'<text x="{left + length + 5:.1f}" y="{y + 13}">{ratio:.2f}</text>'
        )
    lines.append(
        f'<line x1="{left + scale}" y1="26" x2="{left + scale}" y2="{height - 14}" '
        'stroke="black"/>'
    )
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    sys.exit(main())
