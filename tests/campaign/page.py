"""The campaign's page: README.md's table from results.json, and the failures with their reasons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator

from benchmarks.machine import describe_machine
from benchmarks.readme import with_section

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results.json", HERE / "README.md"
SHOWN_OF_MACHINE = ("date", "commit", "system", "python", "numpy", "processor")

# a failure that stays, by words in its fault, with the reason
REASONS: dict[str, str] = {}


def reason(fault: str) -> str:
    """Why a failure stays, "" if there is no reason."""
    return next((why for words, why in REASONS.items() if words in fault), "")


def unexplained(result: dict[str, Any]) -> int:
    """How many cases of a kind failed without a reason."""
    return sum(failure["count"] for group in result["groups"].values()
               for failure in group["failures"] if not reason(failure["fault"]))


def lines(kind: str, result: dict[str, Any]) -> Iterator[str]:
    """A kind's result for a terminal."""
    yield f"{kind}, {result['minutes']} minutes"
    for name, group in result["groups"].items():
        yield f"  {group['attempted']:7,} {group['failed']:6,} failed  {name}"
        for failure in group["failures"]:
            example = "".join(c if c.isprintable() else "?" for c in failure["example"])
            yield f"  {'':14} {failure['count']:6,}  {failure['fault']}"
            yield f"  {'':22} such as {example:.140}"


def save(kind: str, result: dict[str, Any]) -> None:
    """Replace a kind in results.json, and write the page."""
    results = read()
    machine = describe_machine()
    results[kind] = {**{key: machine[key] for key in SHOWN_OF_MACHINE}, **result}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    write()


def read() -> dict[str, Any]:
    """What results.json holds, by kind."""
    if not RESULTS.exists():
        return {}
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def write() -> None:
    """Write the section `figures` of README.md."""
    content = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_section(content, "figures", section(read())), encoding="utf-8")


def section(results: dict[str, Any]) -> str:
    """The tables: a sum for each kind, its groups, and every failure with its reason."""
    rows = ["| kind | attempted | handled correctly | failed |", "|---|---|---|---|"]
    groups = [group for result in results.values() for group in result["groups"].values()]
    for kind, result in results.items():
        rows.append(_row(f"**{kind}**", result["groups"].values()))
        rows += [_row(name, [group]) for name, group in result["groups"].items()]
    rows.append(_row("**all**", groups))
    parts = ["\n".join(rows), _failures(results), *_machines(results)]
    return "\n\n".join(part for part in parts if part)


def _row(name: str, groups: Any) -> str:
    sums = [sum(group[key] for group in groups) for key in ("attempted", "handled", "failed")]
    return f"| {name} | " + " | ".join(f"{number:,}" for number in sums) + " |"


def _failures(results: dict[str, Any]) -> str:
    rows = []
    for result in results.values():
        for name, group in result["groups"].items():
            for failure in group["failures"]:
                why = reason(failure["fault"]) or "**not fixed yet**"
                fault = "".join(c if c.isprintable() else "?" for c in failure["fault"])
                fault = fault.replace("|", "/")
                rows.append(f"| {name} | {failure['count']:,} | {fault} | {why} |")
    if not rows:
        return "No case failed."
    return "\n".join(["| group | failed | how | why it stays |", "|---|---|---|---|", *rows])


def _machines(results: dict[str, Any]) -> Iterator[str]:
    """Where and when, once for what was run together."""
    seen: dict[str, list[str]] = {}
    for kind, result in results.items():
        where = (f"{result['date']}, npgpt at {result['commit']}, Python {result['python']}, NumPy "
                 f"{result['numpy']}, {result['system']}, {result['processor']}")
        seen.setdefault(where, []).append(f"{kind} ({result['minutes']} minutes)")
    for where, kinds in seen.items():
        yield f"{', '.join(kinds)}: {where}."
