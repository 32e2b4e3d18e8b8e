"""A report's parts, each as HTML and as Markdown, and the two pages that they make.

The HTML page needs nothing else: style and pictures are inside it.
"""

from __future__ import annotations

import base64
from html import escape
from importlib.resources import files
from typing import Mapping, NamedTuple, Sequence

PICTURES = "pictures"
"""The folder of the Markdown page's pictures."""


class Part(NamedTuple):
    """A part of the report, twice."""

    html: str
    markdown: str


def pages(title: str, parts: Sequence[Part]) -> Part:
    """Both pages, whole."""
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    body = "\n".join(part.html for part in parts)
    html = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
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
    return words.translate({ord(character): f"\\{character}" for character in "\\`*_<["})
