"""Training over ranks: two ranks beside two threads, and a prediction for up to 1024.

    python -m benchmarks.scaling            measures and prints, about ten minutes
    python -m benchmarks.scaling --write    and writes results/scaling.json, the chart and the page
    python -m benchmarks.scaling --quick    a minute: whether everything works; one size, few times
    python -m benchmarks.scaling --report   measures nothing; the page from results/scaling.json

Needs the extras `mpi` and `lab`. All jobs of a row take turns in one run. As root on Linux it also
links two and four "hosts" (network namespaces) by cards of limited bandwidth, and holds the
prediction against what is measured there; otherwise it says what was missing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..machine import describe_machine
from ..readme import PAGE, put_section
from . import hosts, measure, page

RESULTS = Path(__file__).parents[1] / "results"


def main() -> int:
    """Measure what was asked for; print, and perhaps write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--sizes", nargs="+", choices=list(measure.ROUNDS), metavar="SIZE",
                        help=f"{', '.join(measure.ROUNDS)} (default: all, with --quick the first)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", default=RESULTS,
                        help="where --write puts scaling.json and scaling.svg (default "
                             "benchmarks/results)")
    parser.add_argument("--page", type=Path, metavar="FILE", default=PAGE,
                        help="with the section `scaling` (default benchmarks/README.md)")
    args = parser.parse_args()
    file = args.out / "scaling.json"
    if args.report:
        results = json.loads(file.read_text(encoding="utf-8"))
    else:
        try:
            results = run(args.sizes or list(measure.ROUNDS)[:1 if args.quick else None],
                          args.quick)
        except RuntimeError as error:
            print(f"not measured: {error}", file=sys.stderr)
            return 1
    if args.write and not args.report:
        args.out.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(page.section(results))
    if args.write or args.report:
        page.draw(results, args.out / "scaling.svg")
        put_section("scaling", page.section(results), args.page)
    return 0


def run(sizes: list[str], quick: bool) -> dict[str, Any]:
    """All measurements; RuntimeError without what they need."""
    for module in ("mpi4py", "scipy", "matplotlib"):
        if find_spec(module) is None:
            raise RuntimeError(f"there is no {module}: python -m pip install 'npgpt[mpi,lab]'")
    started = time.monotonic()
    missing = hosts.why_not()
    results = {
        "machine": describe_machine(), "without_hosts": missing,
        # what needs most of the machine comes first: it fails before minutes are spent
        "links": measure.links(quick, bool(missing)),
        "hosts": [] if missing else measure.between_hosts(sizes, quick),
        "steps": {size: measure.steps(size, quick) for size in sizes},
    }
    results["minutes"] = round((time.monotonic() - started) / 60, 1)
    return results


if __name__ == "__main__":
    sys.exit(main())
