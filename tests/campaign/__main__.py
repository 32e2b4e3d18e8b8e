"""The campaign: every way to damage, kill and deceive npgpt that we could think of.

    python -m tests.campaign                       everything; a quarter of an hour
    python -m tests.campaign --only files kills    some kinds
    python -m tests.campaign --count 50            at most so many cases of each group
    python -m tests.campaign --write               and write results.json and README.md
    python -m tests.campaign --case "llm.c's .bin" 17    a mutated file again, with its traceback

The exit code is 1 if a case failed for which `page.REASONS` has no reason.
"""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from . import page
from .materials import scratch_folder
from .outcome import tallied

# every kind is a module with run(count, scratch); how many cases of each group, where all there are
# would not end
KINDS = {
    "files": 1000, "syscalls": 10**6, "kills": 10**6, "resumes": 10**6, "damage": 10**6,
    "inputs": 10**6,
}


def main() -> int:
    """Run the kinds that were asked for, print the table, and write it if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaign", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS),
                        metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--count", type=int, metavar="N", help="cases of each group")
    parser.add_argument("--write", action="store_true", help="write results.json and README.md")
    parser.add_argument("--page", action="store_true",
                        help="write README.md from results.json, and run nothing")
    parser.add_argument("--case", nargs=2, metavar=("FORMAT", "NUMBER"),
                        help="do one mutated file again")
    args = parser.parse_args()
    if args.page:
        page.write()
        return 0
    with scratch_folder() as scratch:
        if args.case:
            from .files import again

            print(again(args.case[0], int(args.case[1]), scratch))
            return 0
        unexplained = 0
        for kind in args.only:
            result = _run(kind, args.count or KINDS[kind], scratch)
            print("\n".join(page.lines(kind, result)), flush=True)
            unexplained += page.unexplained(result)
            if args.write:
                page.save(kind, result)
    return 1 if unexplained else 0


def _run(kind: str, count: int, scratch: Path) -> dict[str, Any]:
    started = time.monotonic()
    outcomes = import_module(f"{__package__}.{kind}").run(count, scratch)
    groups = {name: tally.to_dict() for name, tally in tallied(outcomes).items()}
    return {"minutes": round((time.monotonic() - started) / 60, 1), "groups": groups}


if __name__ == "__main__":
    sys.exit(main())
