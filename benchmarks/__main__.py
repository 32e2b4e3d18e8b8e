"""How fast npgpt is, and how fast its peers are in the same minute.

    python -m benchmarks                    npgpt, and its peers if installed
    python -m benchmarks --only train-recipe decode --pairs 9
    python -m benchmarks --without compiled bf16
    python -m benchmarks --peers-python P   peers from another Python's packages
    python -m benchmarks --only prefill decode --llama PATH/llama-bench
    python -m benchmarks --only train-gpt2-64 --llmc PATH/train_gpt2
    python -m benchmarks.report             the tables and charts, from the results

Every contestant is a process of its own; they take turns. Times are medians,
ratios are medians of the pairs: npgpt's time over the other's, so below 1 npgpt
is quicker. Results go to benchmarks/results/, one file a row. A row that cannot
be measured is reported with the reason, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .children import run_child
from .contest import hold, peers_python
from .limits import UNITS
from .machine import describe_machine
from .report import op_lines
from .suite import rows

RESULTS = Path(__file__).parent / "results"
# a whole training run is not repeated as often
FEWER = {"loop": 5}


def main() -> int:
    """Measure the rows that were asked for, print and write each as soon as it is done."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [row.name for row in rows()]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="ROW",
                        help=", ".join(names))
    parser.add_argument("--pairs", type=int, default=None, help="repetitions (default 7, loop 5)")
    parser.add_argument("--without", nargs="+", default=[], metavar="COLUMN",
                        help="columns to leave out, such as compiled, bf16")
    parser.add_argument("--peers-python", metavar="PATH",
                        help="a Python that has torch and transformers")
    parser.add_argument("--llama", metavar="PATH", help="llama.cpp's llama-bench")
    parser.add_argument("--llmc", metavar="PATH", help="llm.c's train_gpt2")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    args = parser.parse_args()
    columns = {name for row in rows("any", "any") for name in row.contestants} - {"npgpt"}
    for name in args.without:
        if name not in columns:
            parser.error(f"--without {name}: the columns are {', '.join(sorted(columns))}")
    if args.pairs is not None and args.pairs < 1:
        parser.error(f"--pairs {args.pairs} is out of range; expected at least 1")
    peers = peers_python(args.peers_python)
    try:
        machine = {**describe_machine(), **_peer_versions(peers)}
    except RuntimeError as error:
        parser.error(f"--peers-python {peers}: {error}")
    args.out.mkdir(parents=True, exist_ok=True)
    exit_code = 0
    for row in rows(args.llama, args.llmc):
        if row.name not in args.only:
            continue
        pairs = args.pairs or FEWER.get(row.name, 7)
        try:
            result = hold(row, pairs, peers, tuple(args.without))
        except RuntimeError as error:
            print(f"\n{row.label}: not measured. {error}", file=sys.stderr, flush=True)
            exit_code = 1
            continue
        result["machine"] = machine
        path = args.out / f"{row.name}.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        _show(result)
    return exit_code


def _show(result: dict[str, Any]) -> None:
    rounds = f"{result['pairs']} round{'s' if result['pairs'] > 1 else ''}"
    print(f"\n{result['label']}  ({rounds})", flush=True)
    for reason in result["left_out"].values():
        print(f"  left out: {reason}")
    for name, column in result["columns"].items():
        # a round of the limits is not the same work for all: only their rates compare
        times = "" if "limits" in column else (
            f"{column['median'] * 1e3:12.2f} ms   npgpt / this {column['npgpt_ratio']:6.3f}   ")
        print(f"  {name:14}{times}peak {column['peak_bytes'] / 1e6:7.0f} MB")
        for limit, rate in column.get("limits", {}).items():
            print(f"      {limit:20}{rate:10.1f} {UNITS.get(limit, 'GFLOP/s')}", flush=True)
    if result["name"] == "ops":
        print("\n".join(["", *op_lines(result)]), flush=True)


def _peer_versions(python: str | None) -> dict[str, str]:
    if python is None:
        return {}
    code = ("import json; from importlib.metadata import version;"
            "print(json.dumps({n: version(n) for n in ('torch', 'transformers')}))")
    versions: dict[str, str] = json.loads(run_child([python, "-c", code]).out)
    return versions


if __name__ == "__main__":
    sys.exit(main())
