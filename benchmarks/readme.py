"""The measured sections of the README pages: each between two marks, written from result files."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "benchmarks" / "README.md"


def put_section(name: str, text: str, readme: Path = PAGE) -> None:
    """Replace what stands between <!-- name --> and <!-- /name -->; ValueError without them."""
    content = readme.read_text(encoding="utf-8")
    readme.write_text(with_section(content, name, text), encoding="utf-8")


def with_section(content: str, name: str, text: str) -> str:
    """A page with `text` as its section `name`; ValueError if its marks are not there."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = content.partition(start)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"expected a section between {start.strip()} and {end}, found none")
    return before + start + text.strip('\n') + "\n" + end + after
