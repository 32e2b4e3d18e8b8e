"""How fast npgpt is, and how fast its peers are in the same minute.

    python -m benchmarks                    npgpt, and its peers if installed
    python -m benchmarks --only train-recipe decode --pairs 9
    python -m benchmarks --without compiled bf16
    python -m benchmarks --peers-python P   peers from another Python's packages
    python -m benchmarks --only prefill decode --llama PATH/llama-bench
    python -m benchmarks --only train-gpt2-64 --llmc PATH/train_gpt2
    python -m benchmarks --busy 0 2 4       beside so many programs that never rest
    python -m benchmarks.report             the tables and charts, from the results

Every contestant is a process of its own; they take turns. Times are medians,
ratios are medians of the pairs: npgpt's time over the other's, so below 1 npgpt
is quicker. Results go to benchmarks/results/, one file a row; with --busy, which
has rows of its own and one thread of npgpt as a contestant, to its folder busy/.
A row that cannot be measured is reported with the reason, and the exit code is
then 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .busy import FOLDER, busy_rows, loops
from .children import run_child
from .contest import hold, peers_python
from .limits import UNITS
from .machine import describe_machine
from .report import op_lines
from .suite import Row, rows

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
    busy_names = [row.name for row in busy_rows()]
    parser.add_argument("--only", nargs="+", choices={*names, *busy_names}, metavar="ROW",
                        help=f"{', '.join(names)}; with --busy {', '.join(busy_names)}")
    parser.add_argument("--pairs", type=int, default=None,
                        help="repetitions (default 7; loop 5, --busy 3)")
    parser.add_argument("--busy", type=int, nargs="+", metavar="N",
                        help="beside N programs that compute without a pause, for each N")
    parser.add_argument("--without", nargs="+", default=[], metavar="COLUMN",
                        help="columns to leave out, such as compiled, bf16")
    parser.add_argument("--peers-python", metavar="PATH",
                        help="a Python that has torch and transformers")
    parser.add_argument("--llama", metavar="PATH", help="llama.cpp's llama-bench")
    parser.add_argument("--llmc", metavar="PATH", help="llm.c's train_gpt2")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    args = parser.parse_args()
    chosen = busy_rows() if args.busy else rows(args.llama, args.llmc)
    for name in args.only or ():
        if name not in [row.name for row in chosen]:
            parser.error(f"--only {name}: not a row {'with' if args.busy else 'without'} --busy")
    if args.busy and not all(0 <= n <= 64 for n in args.busy):
        parser.error(f"--busy {' '.join(map(str, args.busy))}: expected numbers from 0 to 64")
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
    folder = args.out / FOLDER if args.busy else args.out
    folder.mkdir(parents=True, exist_ok=True)
    exit_code = 0
    for row in chosen:
        if args.only and row.name not in args.only:
            continue
        try:
            result = _measure(row, args, peers)
        except RuntimeError as error:
            print(f"\n{row.label}: not measured. {error}", file=sys.stderr, flush=True)
            exit_code = 1
            continue
        result["machine"] = machine
        path = folder / f"{row.name}.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return exit_code


def _measure(row: Row, args: argparse.Namespace, peers: str | None) -> dict[str, Any]:
    """One row, shown as soon as it is measured; with --busy for each number of busy programs."""
    without = tuple(args.without)
    if not args.busy:
        result = hold(row, args.pairs or FEWER.get(row.name, 7), peers, without)
        _show(result)
        return result
    beside = {}
    for n in args.busy:
        beside[n] = hold(row, args.pairs or 3, peers, without, loops(n))
        _show(beside[n], f"beside {n} busy programs, " if n else "")
    return {"name": row.name, "label": row.label, "rival": row.rival, "beside": beside}


def _show(result: dict[str, Any], where: str = "") -> None:
    rounds = f"{result['pairs']} round{'s' if result['pairs'] > 1 else ''}"
    print(f"\n{result['label']}  ({where}{rounds})", flush=True)
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
