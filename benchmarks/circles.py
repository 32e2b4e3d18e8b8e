"""Lines of Python in each circle of the package, for the picture in the README.

    python -m benchmarks.circles            the picture, to the terminal
    python -m benchmarks.circles --write    into the section `circles` of the README
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .readme import ROOT, put_section

README = ROOT / "README.md"
PACKAGE = ROOT / "npgpt"
# every room and module of the package, in the order to read them
CIRCLES = {
    "the textbook": "layers tape ops params model config",
    "  beside it": "variants ids checked suggest arrays",
    "  its check": "gradcheck",
    "the tools": "budget documents files version text weights fast machine generation probe "
                 "evaluation doctor gpt2 opening training verify display",
    "the programs": "selfcheck book demos notebooks packs lab learn view cli __main__ __init__",
}
# modules of one idea each, that the picture does not name
UNNAMED = {"budget", "opening", "verify", "documents", "files", "version", "display", "__main__",
           "__init__"}


def lines(room: str) -> int:
    """Lines of Python in a room or module of the package; 0 if there is none of that name."""
    path = PACKAGE / room
    files = path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    return sum(len(file.read_text(encoding="utf-8").splitlines())
               for file in files if file.exists())


def counts() -> dict[str, int]:
    """Lines of each circle."""
    return {circle: sum(map(lines, rooms.split())) for circle, rooms in CIRCLES.items()}


def picture() -> str:
    """The circles, the inner one first: name, rooms and lines."""
    drawn = []
    for circle, count in counts().items():
        named = [room for room in CIRCLES[circle].split() if lines(room) and room not in UNNAMED]
        drawn.append(f"    {circle:14}{' '.join(named):68}{count:>7,} lines")
    return "\n".join(drawn)


def main() -> None:
    """Print the picture, or write it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.circles", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--write", action="store_true", help="write the section of the README")
    parser.add_argument("--readme", type=Path, default=README, metavar="FILE")
    args = parser.parse_args()
    print(picture())
    if args.write:
        put_section("circles", picture(), args.readme)


if __name__ == "__main__":
    main()
