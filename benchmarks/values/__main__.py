"""How many mistakes in a forward or a program does the doctor name? python -m benchmarks.values

    python -m benchmarks.values [--show] [--seeds N] [--write]

Every function of `layers` and `programs` is right as it stands, and is tried as such, on the six
inputs of each of N seeds besides those that the doctor draws; every edit in
`mistakes` plants one mistake in it. The doctor sees the function, not the edit. It is
named rightly if the first finding has the edit's kind. A mistake that the catalogue has no name for
counts as not named.
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import json
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.doctor.values.explained import kinds_page
from npgpt.doctor.values.forward import ValueReport, diagnose_value

from ..readme import ROOT, put_section
from . import layers, programs
from .mistakes import LATER, PLANTED

RESULTS = Path(__file__).parent.parent / "results" / "values.json"
PAGE = ROOT / "npgpt" / "doctor" / "README.md"


def functions() -> dict[str, Callable[..., Any]]:
    """Every right answer by its name."""
    return {name: f for module in (layers, programs) for name, f in vars(module).items()
            if inspect.isfunction(f) and f.__module__ == module.__name__}


def program_of(name: str) -> str:
    """The program that a function is an answer to: the longest that its name begins with."""
    return max((p for p in PROGRAMS if name.startswith(f"{p}_")), key=len)


def planted() -> Iterator[tuple[str, Callable[..., Any], str]]:
    """(name of the function, the function with the mistake in it, the kinds that name it)."""
    for name, old, new, kinds in PLANTED + LATER:
        source = inspect.getsource(functions()[name])
        if source.count(old) != 1:
            raise ValueError(f"{name}: {old!r} occurs {source.count(old)} times")
        module = types.ModuleType(name)
        vars(module).update({k: v for k, v in vars(layers).items() if k in ("np", "math")})
        exec(compile(source.replace(old, new), f"<{name}>", "exec"), vars(module))
        yield name, vars(module)[name], kinds


def right_calls(name: str, seeds: int) -> Iterator[ValueReport]:
    """Reports on a right function, one for each of the inputs that it is called with."""
    program, function = PROGRAMS[program_of(name)], functions()[name]
    yield diagnose_value(program, function)
    for seed, n in itertools.product(range(seeds), range(6)):
        assert program.draw is not None
        inputs, settings = program.draw(np.random.default_rng([seed, n]), {}, n)
        yield diagnose_value(program, function, *inputs, **settings)


def score(show: bool, seeds: int) -> dict[str, dict[str, int]]:
    """Counts for each program: right answers, those accused, mistakes, found, named."""
    table: dict[str, dict[str, int]] = {}
    for name in functions():
        row = table.setdefault(program_of(name), dict.fromkeys(
            ("right", "calls", "accused", "planted", "found", "named"), 0))
        row["right"] += 1
        for report in right_calls(name, seeds):
            row["calls"] += 1
            row["accused"] += not report.ok
            if not report.ok:
                print(f"ACCUSED {name}\n{report}")
    for name, function, kinds in planted():
        report = diagnose_value(program_of(name), function)
        row = table[program_of(name)]
        row["planted"] += 1
        row["found"] += not report.ok
        named = _named(report, kinds)
        row["named"] += named
        if show and not named:
            print(f"{name}: wanted {kinds or 'nothing'}\n{report}\n")
    return table


def _named(report: ValueReport, kinds: str) -> bool:
    return bool(kinds) and report.kinds[:1] in [[kind] for kind in kinds.split("|")]


def section(table: dict[str, dict[str, int]]) -> str:
    """The table for the page."""
    lines = ["| called as | right functions | calls | accused | mistakes | found | named |",
             "|---|---|---|---|---|---|---|"]
    total = {key: sum(row[key] for row in table.values()) for key in next(iter(table.values()))}
    for name, row in [*table.items(), ("**all**", total)]:
        call = f"`{name}({', '.join(PROGRAMS[name].arguments)})`" if name in PROGRAMS else name
        lines.append(f"| {call} | {' | '.join(str(n) for n in row.values())} |")
    return "\n".join(lines)


def main() -> None:
    """Run it, print the table, and write it into the page and results/values.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--show", action="store_true", help="show every mistake without its name")
    parser.add_argument("--write", action="store_true", help="write the page and the results")
    parser.add_argument("--seeds", type=int, default=20, metavar="N",
                        help="of the inputs that right functions are tried on (default 20)")
    args = parser.parse_args()
    table = score(args.show, args.seeds)
    print(section(table))
    if args.write:
        RESULTS.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
        put_section("values", section(table), PAGE)
        put_section("value-kinds", kinds_page(), PAGE)


if __name__ == "__main__":
    main()
