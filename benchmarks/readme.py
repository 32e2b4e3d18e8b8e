"""The README's measured sections: each between two marks, written from the result files."""

from __future__ import annotations

from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def put_section(name: str, text: str, readme: Path = README) -> None:
    """Replace what stands between <!-- name --> and <!-- /name -->; ValueError without them."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    content = readme.read_text(encoding="utf-8")
    before, found, rest = content.partition(start)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"{readme} has no section between {start.strip()} and {end}")
    readme.write_text(before + start + text.strip() + "\n" + end + after, encoding="utf-8")
