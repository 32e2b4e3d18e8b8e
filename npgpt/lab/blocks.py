"""A report's parts, and the same parts as Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Union


@dataclass(frozen=True)
class Heading:
    """A title of the second level."""

    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph, and after it `links`, each (words, address)."""

    text: str
    links: tuple[tuple[str, str], ...] = ()
    strong: bool = False


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of a row is its header."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A picture by the name of its file; `alt` says what it shows to those who cannot see it."""

    name: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Code:
    """Preformatted text; with a `summary`, HTML folds it away."""

    text: str
    language: str = ""
    summary: str = ""


Block = Union[Heading, Text, Items, Table, Picture, Code]


def to_markdown(title: str, blocks: Sequence[Block], pictures: dict[str, str]) -> str:
    """The report as Markdown; `pictures` are addresses by name, one for every Picture."""
    parts = [f"# {title}"]
    for block in blocks:
        if isinstance(block, Heading):
            parts.append(f"## {block.text}")
        elif isinstance(block, Text):
            words = f"**{_plain(block.text)}**" if block.strong else _plain(block.text)
            links = ", ".join(f"[{label}]({address})" for label, address in block.links)
            parts.append(f"{words} {links}".strip())
        elif isinstance(block, Items):
            parts.append("\n".join(f"- {_plain(item)}" for item in block.items))
        elif isinstance(block, Table):
            parts.append(f"*{_plain(block.caption)}*")
            parts.append("\n".join([
                _row(block.header), "|" + "---|" * len(block.header),
                *(_row(row) for row in block.rows)]))
        elif isinstance(block, Picture):
            parts.append(f"![{block.alt}]({pictures[block.name]})\n\n*{block.caption}*")
        else:
            # a fence longer than any in the text
            fence = "```"
            while fence in block.text:
                fence += "`"
            parts.append(f"{fence}{block.language}\n{block.text.rstrip()}\n{fence}")
    return "\n\n".join(parts) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(cell).replace("|", "\\|") or " " for cell in cells) + " |"


def _plain(text: str) -> str:
    """Text in which Markdown finds no markup."""
    for character in "\\`*_<[":
        text = text.replace(character, f"\\{character}")
    return text
