"""The tables of benchmarks/README.md and the charts, from the files in benchmarks/results.

    python -m benchmarks.report            rewrites the measured sections, and the charts
    python -m benchmarks.report --print    the tables alone, to the terminal

Results of other kinds of processor, and earlier ones, lie in results/kinds/, a folder for each
(`python -m benchmarks --out benchmarks/results/kinds/NAME`). The few figures of the main README
come from `python -m benchmarks.peers`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from . import busy
from .charts import chart, op_chart
from .limits import limit_lines
from .readme import PAGE, put_section
from .suite import rows

RESULTS = Path(__file__).parent / "results"
KINDS = "kinds"
LOSS_FILE, RECIPE_FILE, DECODE_FILE = "int8-loss.json", "recipe.json", "chunks.json"
# rows whose times are not one work's, and have no line in the table
APART = ("ops", "limits")
PEERS = (
    "`eager`, `compiled` (torch.compile) and `bf16` are PyTorch's, in prefill and decoding "
    "transformers'; bf16 is autocast in training, and bf16 weights where nothing is trained. "
)
# optional programs, and where they would be measured
PROGRAMS = {"llama.cpp": ("prefill", "decode"), "llm.c": ("train-gpt2-64",)}


def main() -> int:
    """Write tables and charts, or print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--print", action="store_true", help="print the tables and write nothing")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE",
                        help="with the sections `speed`, `kinds` and `busy` (default "
                        "benchmarks/README.md)")
    args = parser.parse_args()
    results, crowded = read_results(args.results), read_busy(args.results)
    if not results:
        print(f"no results in {args.results}; run python -m benchmarks first", file=sys.stderr)
        return 3
    text = section(results, args.results)
    others = kinds_section(args.results)
    if args.print:
        print("\n\n".join([text, others, busy_section(crowded)]))
        return 0
    drawn = [result for result in results if result["name"] not in APART]
    (args.results / "speed.svg").write_text(chart(drawn), encoding="utf-8")
    for result in results:
        if result["name"] == "ops":
            (args.results / "ops.svg").write_text(op_chart(result), encoding="utf-8")
    put_section("speed", text, args.page)
    put_section("kinds", others, args.page)
    put_section("busy", busy_section(crowded), args.page)
    return 0


def read_results(folder: Path) -> list[dict[str, Any]]:
    """The results in the suite's order; rows without a file are left out."""
    files = [folder / f"{row.name}.json" for row in rows()]
    return [json.loads(path.read_text(encoding="utf-8")) for path in files if path.exists()]


def read_busy(folder: Path) -> list[dict[str, Any]]:
    """The results of --busy, in its rows' order; rows without a file are left out."""
    files = [folder / busy.FOLDER / f"{row.name}.json" for row in busy.busy_rows()]
    return [json.loads(path.read_text(encoding="utf-8")) for path in files if path.exists()]


def busy_section(crowded: list[dict[str, Any]]) -> str:
    """The section `busy` of benchmarks/README.md."""
    if not crowded:
        return "Not measured yet: `python -m benchmarks --busy 0 2 4`."
    rounds = sorted({held["pairs"] for result in crowded for held in result["beside"].values()})
    return "\n\n".join([busy.table(crowded), (
        f"npgpt's time over the other's beside so many programs that compute without a pause, all "
        f"contestants by turns, medians of {_span(rounds)}; in bold what is more than "
        f"{busy.MOST} times one thread's time, or more than {busy.FURTHER} times the ratio on the "
        f"quiet machine. {machines_line([result['machine'] for result in crowded])}. "
        f"`python -m benchmarks --busy 0 2 4`")])


def kinds_section(folder: Path) -> str:
    """The section `kinds` of benchmarks/README.md: the ratios on each kind of processor."""
    found = [(read_results(at), read_busy(at))
             for at in [folder, *sorted((folder / KINDS).glob("*"))] if at.is_dir()]
    found = [(results, crowded) for results, crowded in found if results]
    machines = [[result["machine"] for result in results] for results, _ in found]
    lines = [f"| work | rival | {' | '.join(_kind(ms[-1]) for ms in machines)} |",
             f"|---|---|{'---|' * len(found)}"]
    for row in rows():
        if row.name in APART:
            continue
        here = [next((r for r in results if r["name"] == row.name), None) for results, _ in found]
        cells = [f"{r['columns'][row.rival]['npgpt_ratio']:.2f}"
                 if r and row.rival in r["columns"] else "" for r in here]
        if any(cells):
            lines.append(f"| {row.label} | {row.rival} | {' | '.join(cells)} |")
    gflops = [next((r["columns"]["npgpt"]["limits"]["matmuls 1024"] for r in results
                    if r["name"] == "limits"), None) for results, _ in found]
    lines.append("| matmuls of 1024 positions, GFLOP/s |  | "
                 f"{' | '.join(f'{rate:.0f}' if rate else '' for rate in gflops)} |")
    parts = ["\n".join(lines), "npgpt's time over its rival's. " + " ".join(
        f"{_kind(ms[-1])}: {machines_line(ms)}." for ms in machines)]
    parts += [f"### Beside other programs, on {_kind(crowded[-1]['machine'])}\n\n"
              f"{busy_section(crowded)}" for _, crowded in found[1:] if crowded]
    return "\n\n".join(parts)


def _kind(machine: dict[str, Any]) -> str:
    """A machine in a few words: processor, what of it was switched off, a Python without the GIL,
    and the day."""
    processor = re.sub(r"\((R|TM)\)| Processor", "", machine["processor"])
    off = ", AVX-512 switched off" if _without_avx512(machine) else ""
    free = ", no GIL" if "free-threaded" in machine["python"] else ""
    return f"{processor}{off}{free}, {machine.get('date')}"


def _without_avx512(machine: dict[str, Any]) -> bool:
    return "AVX512" in str(machine.get("instructions", {}).get("NPY_DISABLE_CPU_FEATURES", ""))


def section(results: list[dict[str, Any]], folder: Path) -> str:
    """The section `speed` of benchmarks/README.md."""
    parts = []
    if any(result["name"] not in APART for result in results):
        parts.append(table(results))
    for file, sentence in ((DECODE_FILE, decode_line), (LOSS_FILE, loss_line)):
        if (folder / file).exists():
            parts.append(sentence(json.loads((folder / file).read_text(encoding="utf-8"))))
    parts += filter(None, [limit_lines(results)])
    parts += [op_table(result) for result in results if result["name"] == "ops"]
    return "\n\n".join(parts)


def table(results: list[dict[str, Any]]) -> str:
    """A Markdown table: our time, its ratio to the rival's and to the others', peak memory."""
    lines = [
        "| work | npgpt | over its rival | over the others | peak memory |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        if result["name"] in APART:
            continue
        columns, rival = result["columns"], result["rival"]
        ratio = f"{columns[rival]['npgpt_ratio']:.2f} ({rival})" if rival in columns else ""
        others = ", ".join(
            f"{name} {column['npgpt_ratio']:.2f}" for name, column in columns.items()
            if name not in ("npgpt", rival)
        )
        ours = duration(columns["npgpt"]["median"])
        lines.append(
            f"| {result['label']} | {ours} | {ratio} | {others} | {_memory(columns, rival)} |")
        if "val_loss" in columns["npgpt"]:
            losses = ", ".join(f"{name} {column['val_loss']:.3f}"
                               for name, column in columns.items())
            lines.append(f"| ... final loss |  |  | {losses} |  |")
    return "\n".join([*lines, "", _reading(results)])


def _reading(results: list[dict[str, Any]]) -> str:
    rounds = sorted({r["pairs"] for r in results})
    missing = [
        program for program, names in PROGRAMS.items()
        if not any(column.startswith(program) for result in results if result["name"] in names
                   for column in result["columns"])
    ]
    machines = [result["machine"] for result in results]
    peers = PEERS if any(machine.get("torch") for machine in machines) else ""
    absent = f" Not installed there: {', '.join(missing)}." if missing else ""
    return (
        f"Medians of {_span(rounds)} in which all take turns, on {machines_line(machines)}. "
        "A ratio is npgpt's time over the other's: below 1 npgpt is quicker. "
        f"{peers}`matmuls` are the bare matmuls of the same step: the floor. `plain` is npgpt "
        f"without activation checkpointing, `float32` npgpt without int8.{absent}"
    )


def machines_line(machines: list[dict[str, Any]]) -> str:
    """Where, with what and when; a table of several machines names them all."""
    found = []
    for machine in machines:
        packages = [f"{name} {machine[name]}" for name in ("numpy", "torch", "transformers")
                    if machine.get(name)]
        if machine.get("blas"):
            packages[0] += f" with {machine['blas']}"
        held = " ".join(f"{name}='{value}'" if " " in value else f"{name}={value}"
                        for name, value in machine.get("instructions", {}).items())
        found.append(f"{machine['cores']} cores of {machine['processor']}"
                     f"{f' with {held}' if held else ''}, Python {machine['python']}, "
                     f"{', '.join(packages)}")
    when = sorted({machine["date"] for machine in machines if machine.get("date")})
    commits = sorted({machine["commit"] for machine in machines if machine.get("commit")})
    return "; ".join([
        " and on ".join(dict.fromkeys(found)),
        *([" to ".join(dict.fromkeys([when[0], when[-1]]))] if when else []),
        *([f"npgpt at {', '.join(commits)}"] if commits else []),
    ])


def _span(rounds: list[int]) -> str:
    if len(rounds) > 1:
        return f"{rounds[0]} to {rounds[-1]} rounds"
    return f"{rounds[0]} rounds" if rounds[0] > 1 else "one round"


def op_rows(result: dict[str, Any]) -> list[list[str]]:
    """Each op's forward and backward, textbook, fast and PyTorch, under a line of headings."""
    names = {"textbook": "textbook", "fast": "npgpt.fast", "eager": "PyTorch"}
    columns = [name for name in names if name in result["columns"]]
    ops = {name: result["columns"][name]["ops"] for name in columns}
    last = "eager" if "eager" in columns else "textbook"
    found = [["op", *(names[name] for name in columns), f"fast over {names[last]}"]]
    for op in ops["fast"]:
        halves = [a / b for a, b in zip(ops["fast"][op], ops[last][op])]
        found.append([op, *(" / ".join(map(milliseconds, ops[name][op])) for name in columns),
                      f"{halves[0]:.2f} / {halves[1]:.2f}"])
    return found


def op_lines(result: dict[str, Any]) -> list[str]:
    """The same for a terminal of 80 columns; the last one is fast over the column before it."""
    rows = op_rows(result)
    rows[0][-1] = "ratio"
    return [f"  {op:18}" + "".join(f"{cell:>16}" for cell in cells) + f"{ratio:>12}"
            for op, *cells, ratio in rows]


def op_table(result: dict[str, Any]) -> str:
    """The same as a folded Markdown table."""
    rows = [f"| {' | '.join(row)} |" for row in op_rows(result)]
    lines = [
        "<details><summary>op by op: forward / backward in ms</summary>", "",
        rows[0], f"|{'---|' * (rows[0].count('|') - 1)}", *rows[1:],
    ]
    lines += ["", "On 1024 positions of 124M's shapes (`benchmarks/sizes.py`); attention_short "
              "is 16 sequences of 64, head_and_loss the output matrix and the loss together. "
              "PyTorch has no attention_entropy and no entropy_penalty; it gets their formulas in "
              "its tensors.", "", "![a fast op's time over the other's]"
              "(results/ops.svg)", "", "</details>"]
    return "\n".join(lines)


def decode_line(measured: dict[str, Any]) -> str:
    """What speculation gains, a sentence."""
    gains = [f"{gain['speculating'] * 1e3:.1f} ms a token instead of {gain['plain'] * 1e3:.1f} "
             f"{'in' if kind == 'float32' else 'with'} {kind}"
             for kind, gain in measured["speculation"].items()]
    chunk, seconds = list(measured["chunks"]["float32"].items())[-1]
    return (
        f"Speculative decoding of text that repeats itself takes {', '.join(gains)}; a chunk of "
        f"{chunk} tokens is read in {duration(seconds)} (`python -m benchmarks.decode`)."
    )


def loss_line(figures: dict[str, Any]) -> str:
    """What int8 weights cost in loss, a sentence."""
    losses = figures["loss"]
    return (
        f"What int8 costs in loss: after {figures['step']} steps on {figures['corpus']} "
        f"({figures['parameters']:,} parameters) {losses['int8']:.6f} nats per token against "
        f"{losses['float32']:.6f} in float32, {figures['difference']:+.6f}, on all "
        f"{figures['tokens']:,} held-out tokens (`python -m benchmarks.int8_loss`)."
    )


def _memory(columns: dict[str, Any], rival: str) -> str:
    ours = columns["npgpt"]["peak_bytes"]
    text = f"{ours / 1e6:.0f} MB"
    if rival in columns:
        text += f", {ours / columns[rival]['peak_bytes']:.2f} of {rival}'s"
    return text


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds, with more digits where they are few."""
    return f"{seconds * 1e3:.{3 if seconds < 1e-4 else 2 if seconds < 0.1 else 1}f}"


def duration(seconds: float) -> str:
    """Seconds as a short text with a unit."""
    if seconds >= 10:
        return f"{seconds:.0f} s"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


if __name__ == "__main__":
    sys.exit(main())
