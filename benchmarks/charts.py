"""The two charts, as SVG written by hand: npgpt against its peers, and op by op."""

from __future__ import annotations

from html import escape
from typing import Any

BETTER, WORSE = "#0072b2", "#d55e00"
# a longer ratio is cut off here; the number beside it is exact
LONGEST = 2.5
# not rivals: the floor, and npgpt itself with other settings
_NOT_PEERS = ("npgpt", "matmuls", "plain", "float32")

Bar = tuple[str, str, float]


def chart(results: list[dict[str, Any]]) -> str:
    """A bar per row and peer: npgpt's time over the peer's."""
    return _bars([
        (result["label"], name, column["npgpt_ratio"])
        for result in results
        for name, column in result["columns"].items() if name not in _NOT_PEERS
    ], "npgpt's time over the other's; left of the line npgpt is quicker")


def op_chart(result: dict[str, Any]) -> str:
    """A bar per op, forward and backward: the fast op's time over PyTorch's, or the textbook's."""
    columns = result["columns"]
    name = "eager" if "eager" in columns else "textbook"
    theirs, ours = columns[name]["ops"], columns["fast"]["ops"]
    whose = "PyTorch's" if name == "eager" else "the textbook's"
    return _bars([
        (op if half == 0 else "", ("forward", "backward")[half],
         ours[op][half] / theirs[op][half])
        for op in ours for half in (0, 1)
    ], f"a fast op's time over {whose}; left of the line npgpt is quicker")


def _bars(bars: list[Bar], title: str) -> str:
    wide = max((len(label) for label, *_ in bars), default=0)
    middle, narrow = int(6.4 * wide) + 16, 118
    left, scale = middle + narrow, 150.0
    width, height = left + int(LONGEST * scale) + 60, 22 * len(bars) + 56
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="8" y="18" font-weight="bold">{escape(title)}</text>',
    ]
    before = None
    for i, (label, name, ratio) in enumerate(bars):
        y = 34 + 22 * i
        length = min(ratio, LONGEST) * scale
        if label and label != before:
            # a row of the table is named once, with a line above it
            lines.append(f'<line x1="8" y1="{y - 3}" x2="{width - 8}" y2="{y - 3}" '
                         'stroke="#dddddd"/>'
                         f'<text x="8" y="{y + 13}">{escape(label)}</text>')
            before = label
        lines.append(
            f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{left}" y="{y}" width="{length:.1f}" height="16" '
            f'fill="{BETTER if ratio <= 1.0 else WORSE}"/>'
            f'<text x="{left + _past(length, scale):.1f}" y="{y + 13}">'
            f'{ratio:.2f}</text>'
        )
    one = left + scale
    lines.append(f'<line x1="{one}" y1="30" x2="{one}" y2="{height - 16}" stroke="black"/>'
                 f'<text x="{one}" y="{height - 4}" text-anchor="middle">1</text>')
    return "\n".join([*lines, "</svg>", ""])


def _past(end: float, line: float) -> float:
    # where a number can stand behind a bar without the line at 1 going through it
    return line + 6 if line - 40 < end < line else end + 6


def check_chart(result: dict[str, Any]) -> str:
    """Two bars per rule of a gradient check: wrong ones let through, right ones accused."""
    parts = (("wrong ones let through", result["let_through"], WORSE),
             ("right ones accused", result["accused"], BETTER))
    rules = list(result["accused"]["rules"])
    left, scale, height = 130, 5.0, 44 * len(rules) + 60
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{height}" '
        f'viewBox="0 0 720 {height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for k, (label, part, colour) in enumerate(parts):
        total = sum(part["answers"].values())
        lines.append(f'<rect x="{left + 260 * k}" y="12" width="12" height="12" fill="{colour}"/>'
                     f'<text x="{left + 18 + 260 * k}" y="22">{label}, % of {total:,}</text>')
        for i, rule in enumerate(rules):
            count = sum(part["rules"][rule].values())
            y, length = 44 + 44 * i + 18 * k, 100 * count / max(total, 1) * scale
            lines.append(
                f'<rect x="{left}" y="{y}" width="{length:.1f}" height="16" '
                f'fill="{colour}"/><text x="{left + length + 6:.1f}" y="{y + 13}">'
                f'{100 * count / max(total, 1):.1f}</text>')
    for i, rule in enumerate(rules):
        weight = ' font-weight="bold"' * (rule == "npgpt")
        lines.append(f'<text x="{left - 8}" y="{66 + 44 * i}" text-anchor="end"{weight}>'
                     f'{escape(rule)}</text>')
    return "\n".join([*lines, "</svg>", ""])
