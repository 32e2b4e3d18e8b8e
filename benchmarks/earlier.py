"""What `npgpt generate` takes beside an earlier version of npgpt, quiet and beside other programs.

    git worktree add /tmp/earlier c3899f4
    python -m benchmarks.earlier --checkout /tmp/earlier --run runs/python-docs --write

Whole commands, from the shell to the last character, take turns: the earlier one, this one, and
this one on one thread. Both times of a command count, its own and what it took of the processors.
All write the same text from the same seed, or it is said.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .busy import loops
from .machine import describe_machine
from .readme import ROOT, put_section

RESULTS = Path(__file__).parent / "results"
PROMPT = "The "
HERE, ONE = "npgpt", "one thread"


def commands(checkout: Path, run: Path) -> dict[str, tuple[Path, list[str]]]:
    """For each contestant its checkout and its command."""
    write = [sys.executable, "-m", "npgpt", "generate", str(run.resolve()), PROMPT, "--seed", "1"]
    return {"before": (checkout.resolve(), write), HERE: (ROOT, write),
            ONE: (ROOT, [*write, "--threads", "1"])}


def timed(checkout: Path, command: list[str]) -> tuple[float, float, str]:
    """(seconds, seconds of processors, the text) of a command with a checkout's npgpt.

    Raises RuntimeError where it fails.
    """
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    environment["PYTHONPATH"] = str(checkout)
    started = time.perf_counter()
    # from a folder without npgpt, which a module's own folder would come before
    with subprocess.Popen(command, cwd="/", env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        text, notes = process.stdout.read(), process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} with {checkout}: {notes.strip()[-300:]}")
    return seconds, used.ru_utime + used.ru_stime, text


def measure(checkout: Path, run: Path, rounds: int, beside: list[int]) -> dict[str, Any]:
    """Both times of every round of every contestant, beside so many busy programs."""
    contestants = commands(checkout, run)
    texts, found = set(), {}
    for contestant in contestants.values():
        texts.add(timed(*contestant)[2])        # compiles, and brings files into the cache
    for n in beside:
        columns: dict[str, dict[str, list[float]]] = {
            name: {"seconds": [], "processor": []} for name in contestants}
        with loops(n):
            for _ in range(rounds):
                for name, contestant in contestants.items():
                    seconds, processor, text = timed(*contestant)
                    columns[name]["seconds"].append(seconds)
                    columns[name]["processor"].append(processor)
                    texts.add(text)
        found[str(n)] = columns
    commit = subprocess.run(["git", "-C", str(checkout), "rev-parse", "--short=7", "HEAD"],
                            text=True, capture_output=True, check=True).stdout.strip()
    return {"before": commit, "same_text": len(texts) == 1, "rounds": rounds, "beside": found,
            "machine": describe_machine()}


def section(result: dict[str, Any]) -> str:
    """The section `earlier` of benchmarks/README.md."""
    before, machine = result["before"], result["machine"]
    lines = [f"| beside | {before}: time, of processors | now | over {before}: time | of "
             "processors | over one thread: time | of processors |", f"|{'---|' * 7}"]
    for n, columns in result["beside"].items():
        times = [f"{_median(columns[name], 'seconds'):.2f} s, "
                 f"{_median(columns[name], 'processor'):.2f} s" for name in ("before", HERE)]
        ratios = [f"{_ratio(columns, other, what):.2f}" for other in ("before", ONE)
                  for what in ("seconds", "processor")]
        where = f"{n} busy programs" if int(n) else "nothing"
        lines.append(f"| {where} | {' | '.join([*times, *ratios])} |")
    same = "The text is the same" if result["same_text"] else "The texts differ"
    return "\n".join([*lines, "", (
        f"`npgpt generate runs/python-docs \"{PROMPT}\"`, from the shell to the last of 200 "
        f"characters, beside what it took at {before}: its time and that of the processors, "
        f"medians of {result['rounds']} rounds in turns, on {machine['cores']} cores of "
        f"{machine['processor']}, {machine['date']}, npgpt at {machine['commit']}. {same}. "
        "`python -m benchmarks.earlier --checkout FOLDER --run runs/python-docs --write`")])


def _median(column: dict[str, list[float]], what: str) -> float:
    return statistics.median(column[what])


def _ratio(columns: dict[str, dict[str, list[float]]], other: str, what: str) -> float:
    return statistics.median(a / b for a, b in zip(columns[HERE][what], columns[other][what]))


def main() -> int:
    """Measure, print the table, and with --write put it into the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.earlier", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkout", type=Path, required=True, metavar="FOLDER",
                        help="an earlier version of npgpt")
    parser.add_argument("--run", type=Path, required=True, metavar="FOLDER",
                        help="a run that both can read")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 2, 4], metavar="N",
                        help="beside N programs that compute without a pause (default 0 2 4)")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--write", action="store_true", help="the page's section as well")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error(f"--rounds {args.rounds} is out of range; expected at least 1")
    for folder in (args.checkout, args.run):
        if not folder.is_dir():
            parser.error(f"{folder} is not a folder")
    try:
        result = measure(args.checkout, args.run, args.rounds, args.busy)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "earlier.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(section(result))
    if args.write:
        put_section("earlier", section(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
