"""npgpt beside engines of its own kind, all in one run: numpygrad, micrograd, llm.c, llama.cpp.

    python -m benchmarks.peers --rivals FOLDER      fetches and builds them there, measures, prints
    python -m benchmarks.peers --rivals FOLDER --write          the pages' sections as well
    python -m benchmarks.peers --report                         the sections, from the last results
    python -m benchmarks.peers --rivals FOLDER --only decode --pairs 9

PyTorch and transformers take part where --peers-python, or this Python, has them. numpygrad needs
Python 3.12: --numpygrad-python, where this one is older. A rival that cannot be had is left out,
and why is printed. Results go to results/peers.json; the figures of the main README are from there.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Callable

from .contest import hold, peers_python
from .machine import describe_machine
from .readme import PAGE, ROOT, put_section
from .report import RECIPE_FILE, duration, machines_line
from .rivals import GITHUB, build_llama, build_llmc, fetch
from .suite import Contestant, Row, rows

RESULTS = Path(__file__).parent / "results"
# numpygrad's GPT-2 example, as its page describes it
EXAMPLE = {"vocab_size": 65, "n_positions": 64, "n_embd": 288, "n_layer": 6, "n_head": 6}
BATCH, POINTS = 32, 100
# rows of the suite that llm.c and llama.cpp share, and columns that are not peers
SHARED = ("train-gpt2-64", "prefill", "decode")
WITHOUT = ("matmuls", "compiled", "bf16")
NAMES = ("numpygrad", "micrograd", *SHARED)
PAIRS = {"numpygrad": 3}
# what the main README shows
FIGURES = {"numpygrad": "a training step of numpygrad's GPT-2 example",
           "train-gpt2-64": "a training step of 124M, B4 T64", "decode": "124M, a token"}


def contests(rivals: dict[str, Path], numpygrad_python: str) -> list[Row]:
    """The rows, each with those rivals that were found."""
    job = {"work": "train", "size": [EXAMPLE, BATCH, EXAMPLE["n_positions"]]}
    example: dict[str, Contestant] = {"npgpt": ("npgpt_gpt", job)}
    demo: dict[str, Contestant] = {"npgpt": ("npgpt_mlp", {"points": POINTS})}
    if "numpygrad" in rivals:
        example["numpygrad"] = ("numpygrad_gpt", {
            "path": str(rivals["numpygrad"]), "size": job["size"], "python": numpygrad_python})
    # numpygrad's example computes in float64
    example["npgpt, float64"] = ("npgpt_gpt", {**job, "dtype": "float64"})
    example["eager"] = ("torch_gpt", job)
    if "micrograd" in rivals:
        demo["micrograd"] = ("micrograd_mlp", {"path": str(rivals["micrograd"]), "points": POINTS})
    programs = {name: str(path) for name, path in rivals.items()}
    shared = rows(programs.get("llama.cpp"), programs.get("llm.c"))
    return [
        Row("numpygrad", "a step of numpygrad's GPT-2 example, 6 x 288, B32 T64", example,
            "numpygrad" if "numpygrad" in rivals else "npgpt"),
        Row("micrograd", "a step of micrograd's demo, 337 weights, 100 points", demo,
            "micrograd" if "micrograd" in rivals else "npgpt"),
        *(row for row in shared if row.name in SHARED),
    ]


def find(folder: Path, source: str) -> dict[str, Path]:
    """What could be fetched and built, by name; why not, of each other, goes to stderr."""
    makers: dict[str, Callable[[], Path]] = {
        "numpygrad": lambda: fetch("numpygrad", folder, source),
        "micrograd": lambda: fetch("micrograd", folder, source),
        "llm.c": lambda: build_llmc(folder, 4, 64, source),
        "llama.cpp": lambda: build_llama(folder, source),
    }
    found = {}
    for name, make in makers.items():
        try:
            found[name] = make().resolve()
        except RuntimeError as error:
            print(f"without {name}: {error}", file=sys.stderr, flush=True)
    return found


def _merged(path: Path, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the file with these in their places, in the order of NAMES."""
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    rows = {row["name"]: row for row in [*stored, *results]}
    return [rows[name] for name in NAMES if name in rows]


def main() -> int:
    """Fetch, measure, print and write; 1 if a row could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rivals", type=Path, metavar="FOLDER",
                        help="where the other programs are, or are fetched to and built")
    parser.add_argument("--source", default=GITHUB, metavar="PATTERN",
                        help=f"where to clone them from (default {GITHUB})")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES), metavar="ROW",
                        help=", ".join(NAMES))
    parser.add_argument("--pairs", type=int, help="repetitions (default 7, numpygrad 3)")
    parser.add_argument("--peers-python", metavar="PATH",
                        help="a Python that has torch and transformers")
    parser.add_argument("--numpygrad-python", default=sys.executable, metavar="PATH",
                        help="a Python from 3.12 on with NumPy (default this one)")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--write", action="store_true", help="the sections of the pages as well")
    parser.add_argument("--report", action="store_true", help="only these, from the last results")
    args = parser.parse_args()
    if args.pairs is not None and args.pairs < 1:
        parser.error(f"--pairs {args.pairs} is out of range; expected at least 1")
    path, code = args.out / "peers.json", 0
    results = []
    if args.report:
        if not path.exists():
            print(f"no {path}; run python -m benchmarks.peers first", file=sys.stderr)
            return 3
        results = json.loads(path.read_text(encoding="utf-8"))
    else:
        if args.rivals is None:
            parser.error("expected --rivals FOLDER, where the other programs are or shall be")
        python = peers_python(args.peers_python)
        args.out.mkdir(parents=True, exist_ok=True)
        machine = describe_machine()
        for row in contests(find(args.rivals, args.source), args.numpygrad_python):
            if row.name not in args.only:
                continue
            try:
                results.append(measured(row, args.pairs, python))
            except RuntimeError as error:
                print(f"\n{row.label}: not measured. {error}", file=sys.stderr, flush=True)
                code = 1
                continue
            results[-1]["machine"] = machine
            print("\n".join(lines(results[-1])), flush=True)
            # a run that is interrupted keeps what it has, and rows not asked for stay
            path.write_text(json.dumps(_merged(path, results), indent=1) + "\n", encoding="utf-8")
        results = _merged(path, results)
    if results and (args.write or args.report):
        put_section("peers", section(results), PAGE)
        put_section("figures", figures(results, args.out), ROOT / "README.md")
    return code


def measured(row: Row, pairs: int | None, python: str | None) -> dict[str, Any]:
    """One row's result, without what has no peer in it; RuntimeError as `hold`."""
    return hold(row, pairs or PAIRS.get(row.name, 7), python, WITHOUT)


def lines(result: dict[str, Any]) -> list[str]:
    """A row for a terminal."""
    made = ["", f"{result['label']}  (rounds: {result['pairs']})"]
    made += [f"  left out: {reason}" for reason in result["left_out"].values()]
    for name, column in result["columns"].items():
        made.append(f"  {name:16}{duration(column['median']):>10}   npgpt / this "
                    f"{column['npgpt_ratio']:8.4f}   peak {column['peak_bytes'] / 1e6:6.0f} MB")
    return made


def section(results: list[dict[str, Any]]) -> str:
    """The section `peers` of benchmarks/README.md."""
    table = ["| work | npgpt | the others: time, npgpt's time over it | peak memory |",
             "|---|---|---|---|"]
    for result in results:
        columns = result["columns"]
        others = "; ".join(f"{name} {duration(column['median'])}, {ratio(column)}"
                           for name, column in columns.items() if name != "npgpt")
        memory = ", ".join(f"{name} {column['peak_bytes'] / 1e6:.0f} MB"
                           for name, column in columns.items())
        table.append(f"| {result['label']} | {duration(columns['npgpt']['median'])} | {others} "
                     f"| {memory} |")
    rounds = sorted({result["pairs"] for result in results})
    text = [
        "\n".join(table),
        f"Medians of {' to '.join(map(str, rounds))} rounds in which all take turns, in one run, "
        f"on {machines_line([r['machine'] for r in results])}. Below 1 npgpt is quicker. "
        "`eager` is PyTorch's. numpygrad's example computes in float64, everything else in float32 "
        "unless it says otherwise; micrograd and npgpt take the demo's steps to the same losses. "
        "Written by `python -m benchmarks.peers --rivals FOLDER --write`.",
    ]
    return "\n\n".join(text)


def ratio(column: dict[str, Any]) -> str:
    """npgpt's time over a column's, with two digits that count."""
    value: float = column["npgpt_ratio"]
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def figures(results: list[dict[str, Any]], folder: Path) -> str:
    """The section `figures` of the main README: time beside the peers', the loss of training."""
    table = ["| work | npgpt | its time over others' |", "|---|---|---|"]
    chosen = [result for result in results if result["name"] in FIGURES]
    for result in chosen:
        others = ", ".join(
            f"{ratio(column)} {'PyTorch' if name == 'eager' else name}"
            for name, column in result["columns"].items() if not name.startswith("npgpt"))
        table.append(f"| {FIGURES[result['name']]} "
                     f"| {duration(result['columns']['npgpt']['median'])} | {others} |")
    machine = results[0]["machine"]
    text = ["", f"On {machine['cores']} cores of {machine['processor']}, in float32 "
            "(numpygrad: float64); below 1 npgpt is quicker."]
    if (folder / RECIPE_FILE).exists():
        recipe = json.loads((folder / RECIPE_FILE).read_text(encoding="utf-8"))
        text += [f"nanoGPT's recipe ends at {recipe['mean_val_loss']:.3f} nats per character "
                 f"(mean of {len(recipe['runs'])} seeds); PyTorch ends at "
                 f"{' and '.join(map(str, recipe['pytorch']))}."]
    return "\n".join([*table, *text])


if __name__ == "__main__":
    sys.exit(main())
