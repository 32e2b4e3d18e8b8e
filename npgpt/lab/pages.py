"""A report's parts, each as HTML and as Markdown, and the two pages that they make.

The HTML page needs nothing else: style and pictures are inside it.
"""

from __future__ import annotations

import base64
from html import escape
from typing import Mapping, NamedTuple, Sequence

PICTURES = "pictures"
"""The folder of the Markdown page's pictures."""
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


class Part(NamedTuple):
    """A part of the report, twice."""

    html: str
    markdown: str


def pages(title: str, parts: Sequence[Part]) -> Part:
    """Both pages, whole."""
    body = "\n".join(part.html for part in parts)
    html = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )
    return Part(html, "\n\n".join([f"# {title}", *(part.markdown for part in parts)]) + "\n")


def heading(words: str) -> Part:
    """A title of the second level."""
    return Part(f"<h2>{escape(words)}</h2>", f"## {words}")


def text(words: str, link: tuple[str, str] | None = None, strong: bool = False) -> Part:
    """A paragraph, and after it a `link`, (words, address)."""
    kind = ' class="answer"' if strong else ""
    html, markdown = escape(words), f"**{_plain(words)}**" if strong else _plain(words)
    if link is not None:
        label, address = link
        html += f' <a href="{escape(address)}">{escape(label)}</a>'
        markdown += f" [{label}]({address})"
    return Part(f"<p{kind}>{html}</p>", markdown)


def items(sentences: Sequence[str]) -> Part:
    """A list of sentences."""
    inside = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return Part(f"<ul>\n{inside}\n</ul>", "\n".join(f"- {_plain(each)}" for each in sentences))


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Part:
    """Rows of cells, filled up with empty ones; the first cell of a row is its header."""
    rows = [(*row, *[""] * (len(header) - len(row))) for row in rows]
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    # brackets get a line of their own, so that columns stay narrow
    body = "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell).replace(' (', '<br>(')}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows)
    # a region that scrolls must be reachable by the keyboard, and have a name
    name = escape(caption.split(".")[0].split(":")[0])
    html = (f'<div class="scroll" role="region" aria-label="{name}" tabindex="0"><table>\n'
            f"<caption>{escape(caption)}</caption>\n"
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>")
    lines = [_row(header), "|" + "---|" * len(header), *map(_row, rows)]
    return Part(html, f"*{_plain(caption)}*\n\n" + "\n".join(lines))


def picture(name: str, drawn: Mapping[str, bytes], alt: str, caption: str) -> list[Part]:
    """The SVG file of that name, if it was drawn; `alt` tells those who cannot see it."""
    if name not in drawn:
        return []
    # each as an image of its own: ids that occur in two SVGs must not meet
    data = base64.b64encode(drawn[name]).decode("ascii")
    html = (f'<figure><img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}">\n'
            f"<figcaption>{escape(caption)}</figcaption></figure>")
    return [Part(html, f"![{alt}]({PICTURES}/{name}.svg)\n\n*{caption}*")]


def code(words: str, language: str, summary: str = "") -> Part:
    """Preformatted text; with a `summary`, HTML folds it away."""
    html = f"<pre><code>{escape(words.rstrip())}</code></pre>"
    if summary:
        html = f"<details><summary>{escape(summary)}</summary>\n{html}</details>"
    # a fence longer than any in the text
    fence = "```"
    while fence in words:
        fence += "`"
    return Part(html, f"{fence}{language}\n{words.rstrip()}\n{fence}")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(cell).replace("|", "\\|") or " " for cell in cells) + " |"


def _plain(words: str) -> str:
    """Text in which Markdown finds no markup."""
    for character in "\\`*_<[":
        words = words.replace(character, f"\\{character}")
    return words
