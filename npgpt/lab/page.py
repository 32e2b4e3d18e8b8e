"""The report as one HTML page that needs nothing else: style and pictures are inside it."""

from __future__ import annotations

import base64
from html import escape
from typing import Sequence

from .blocks import Block, Heading, Items, Picture, Table, Text

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --soft: #565656; --line: #cfcfcf;
  --paper: #ffffff; --band: #f4f4f2; --link: #00558a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --soft: #b0b0b0; --line: #4a4a4a;
  --paper: #181818; --band: #232323; --link: #7cc4f0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 2.6rem 0 .6rem; padding-top: .8rem;
  border-top: 1px solid var(--line); }
p, ul { max-width: 44rem; margin: .7rem 0; }
ul { padding-left: 1.3rem; }
li { margin: .35rem 0; }
.answer { border-left: .3rem solid #0072b2; padding: .1rem 0 .1rem 1rem; font-weight: 550; }
a { color: var(--link); }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: 0 0 .5rem;
  max-width: min(44rem, calc(100vw - 2.8rem)); }
td { white-space: nowrap; }
tbody th { min-width: 7.5rem; }
th, td { padding: .35rem .55rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--line); }
th:first-child { text-align: left; font-weight: 600; }
tbody tr:nth-child(even) { background: var(--band); }
figure { margin: 1.2rem 0; }
figure img { display: block; width: 100%; height: auto; max-width: 44rem; background: #fff;
  border: 1px solid var(--line); border-radius: .3rem; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .5rem; max-width: 44rem; }
pre { background: var(--band); border: 1px solid var(--line); border-radius: .3rem;
  padding: .8rem; overflow-x: auto; font-size: .82rem; line-height: 1.4; }
summary { cursor: pointer; }
@media (max-width: 40rem) { h1 { font-size: 1.4rem; } main { padding: 1rem .8rem 3rem; }
  th, td { padding: .3rem .45rem; } table { font-size: .82rem; } }
"""


def to_html(title: str, blocks: Sequence[Block], pictures: dict[str, bytes]) -> str:
    """The page; `pictures` are SVG files by name, one for every Picture."""
    body = "\n".join(_html(block, pictures) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _html(block: Block, pictures: dict[str, bytes]) -> str:
    if isinstance(block, Heading):
        return f"<h2>{escape(block.text)}</h2>"
    if isinstance(block, Text):
        links = ", ".join(f'<a href="{escape(address)}">{escape(label)}</a>'
                          for label, address in block.links)
        kind = ' class="answer"' if block.strong else ""
        return f"<p{kind}>{escape(block.text)} {links}</p>".replace(" </p>", "</p>")
    if isinstance(block, Items):
        inside = "\n".join(f"<li>{escape(item)}</li>" for item in block.items)
        return f"<ul>\n{inside}\n</ul>"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Picture):
        return _picture(block, pictures)
    inside = f"<pre><code>{escape(block.text.rstrip())}</code></pre>"
    return (f"<details><summary>{escape(block.summary)}</summary>\n{inside}</details>"
            if block.summary else inside)


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{_cell(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in table.rows)
    # a region that scrolls must be reachable by the keyboard, and have a name
    name = escape(table.caption.split(".")[0].split(":")[0])
    return (f'<div class="scroll" role="region" aria-label="{name}" tabindex="0"><table>\n'
            f"<caption>{escape(table.caption)}</caption>\n"
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>")


def _cell(text: str) -> str:
    """A cell's text; brackets get a line of their own, so that columns stay narrow."""
    return escape(text).replace(" (", "<br>(")


def _picture(picture: Picture, pictures: dict[str, bytes]) -> str:
    # each as an image of its own: ids that occur in two SVGs must not meet
    data = base64.b64encode(pictures[picture.name]).decode("ascii")
    return (f'<figure><img src="data:image/svg+xml;base64,{data}" alt="{escape(picture.alt)}">\n'
            f"<figcaption>{escape(picture.caption)}</figcaption></figure>")
