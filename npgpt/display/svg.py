"""Panels as SVG within HTML: for a page that needs nothing else, and for a notebook.

Text stays text, and the colours follow the reader's light or dark screen. Lines are thinned, so
that a page has a few kilobytes, however long a run was.
"""

from __future__ import annotations

import math
from html import escape
from typing import Sequence

from .panels import Line, Panel

HTML = ".html"
WIDTH, HEIGHT = 480, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 10, 26, 22
_POINTS = 90
# those of panels.COLOURS, and what is as distinct on a dark screen
_LIGHT = ("#0072b2", "#d55e00", "#008a63", "#b0578a", "#2b8cc4", "#a87400", "#777")
_DARK = ("#5ab4e8", "#ff9147", "#3ecf9f", "#e79ac6", "#9ad4f5", "#f0c040", "#aaa")
_DASHES = ("", "6 3", "2 3")
_STYLE = """\
.npgpt{--ink:#1b1b1b;--line:#ddd;background:#fff;color:var(--ink);%s
color-scheme:light dark;font:14px/1.4 system-ui,sans-serif;padding:.5rem;max-width:64rem}
@media(prefers-color-scheme:dark){.npgpt{--ink:#e6e6e6;--line:#444;background:#181818;%s}}
.npgpt .panels{display:grid;
grid-template-columns:repeat(auto-fit,minmax(min(100%%,22rem),1fr))}
.npgpt svg{width:100%%;height:auto}.npgpt text{fill:var(--ink);font-size:12px}
.npgpt path{fill:none;stroke-linejoin:round}.npgpt .grid{stroke:var(--line)}
.npgpt table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.5rem 0}
.npgpt div{overflow-x:auto}.npgpt th,.npgpt td{padding:.2rem .6rem;text-align:right;
white-space:nowrap;border-bottom:1px solid var(--line)}.npgpt th:first-child{text-align:left}
""" % tuple(
    "".join(f"--c{n}:{colour};" for n, colour in enumerate(colours))
    for colours in (_LIGHT, _DARK))


def whole_page(title: str, content: str) -> str:
    """An HTML page with that content and nothing from elsewhere."""
    return (f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width,initial-scale=1">\n'
            f"<title>{escape(title)}</title>\n<style>body{{margin:0}}\n"
            f"@media(prefers-color-scheme:dark){{body{{background:#181818}}}}</style>\n"
            f"</head>\n<body>\n{content}\n</body>\n</html>\n")


def fragment(
    panels: Sequence[Panel], names: Sequence[str], last: float, table: Sequence[Sequence[str]]
) -> str:
    """HTML of the panels and below them the table, whose rows are keyed with the lines' colours.

    `table` has a header and then a row for each of `names`.
    """
    drawn = "\n".join(_panel(panel, last) for panel in panels)
    header, *rows = table
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "\n".join(
        f'<tr><th scope="row">{_key(n)} {escape(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
        for n, (name, row) in enumerate(zip(names, rows)))
    return (f'<div class="npgpt"><style>{_STYLE}</style>\n<div class="panels">\n{drawn}\n</div>\n'
            f"<div><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>\n"
            f"</div>")


def _panel(panel: Panel, last: float) -> str:
    marks, log = panel.scale()
    low, high = (math.log10(marks[0]), math.log10(marks[-1])) if log else (marks[0], marks[-1])
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT

    def across(x: float) -> float:
        return _LEFT + x / last * (right - _LEFT)

    def up(y: float) -> float:
        value = (math.log10(y) if y > 0 else -math.inf) if log else y
        # just outside of the frame, which clips what is there
        return bottom - min(1.1, max(-0.1, (value - low) / (high - low))) * (bottom - _TOP)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(panel.title)}">'
             f'<text x="{_LEFT}" y="14" style="font-weight:600">{escape(panel.title)}</text>']
    parts += [f'<path class="grid" d="M{_LEFT} {up(mark):.1f}H{right}"/>'
              f'<text x="{_LEFT - 6}" y="{up(mark) + 4:.1f}" text-anchor="end">{mark:g}</text>'
              for mark in marks]
    parts.append("".join(
        f'<text x="{across(x):.0f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{words}</text>'
        for x, anchor, words in ((0.0, "start", "0"), (last / 2, "middle", f"{last / 2:,g}"),
                                 (last, "end", f"{last:,g} steps"))))
    # an inner SVG clips by itself, without an id that another page's could meet
    parts.append(f'<svg x="{_LEFT}" y="{_TOP - 2}" width="{right - _LEFT}" '
                 f'height="{bottom - _TOP + 4}" viewBox="{_LEFT} {_TOP - 2} {right - _LEFT} '
                 f'{bottom - _TOP + 4}">')
    for line in sorted(panel.lines, key=lambda line: line.sparse):
        parts.append(_line(line, [(across(x), up(y)) for x, y in zip(*line.thinned(_POINTS))]))
    return "\n".join([*parts, "</svg></svg>"])


def _line(line: Line, points: Sequence[tuple[float, float]]) -> str:
    """A path with the line's name, which is shown under the pointer."""
    name = f"{line.name}, held out" if line.sparse else line.name
    d = "M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    # a path of zero length with round ends is a dot
    dots = "".join(f"M{x:.1f},{y:.1f}h0" for x, y in points) if line.sparse else ""
    width = 1.8 if line.sparse else 1
    drawn = f'<path style="{_style(line.number)};stroke-width:{width}" d="{d}"/>'
    if dots:
        drawn += (f'<path style="stroke:var(--c{line.number % len(_LIGHT)});stroke-width:5;'
                  f'stroke-linecap:round" d="{dots}"/>')
    return f"<g><title>{escape(name)}</title>{drawn}</g>" if points else ""


def _key(number: int) -> str:
    return (f'<svg style="width:24px;height:10px" viewBox="0 0 24 10"><path d="M0 5H24" '
            f'style="{_style(number)};stroke-width:2"/></svg>')


def _style(number: int) -> str:
    dash = _DASHES[number // len(_LIGHT) % len(_DASHES)]
    return f"stroke:var(--c{number % len(_LIGHT)})" + (f";stroke-dasharray:{dash}" if dash else "")
