"""How good is the doctor on code that is not npgpt's own? Students' code, right and with mistakes.

    python -m benchmarks.students [--show] [--write] [--style STYLE] [--only NAME]

Every right piece is proven right, and every fault wrong, by `proof.py`, which does not use the
check. Then each goes to the entry point that fits it (`entry.py`). A right piece is *accused* if
its report is not ok, or the check raises. A fault is *detected* if its report is not ok, and
*placed* if the first finding names the faulty line or what that line assigns. It is *repaired* if
it is placed and the change that the finding offers, written into the code as it stands there, makes
every gradient right; and *named* if it is repaired, or placed under a kind that the fault accepts.
The set was written before the doctor was measured on it.
"""

from __future__ import annotations

import argparse
import ast
import json
import platform
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from npgpt.doctor import Finding, Report

from ..readme import ROOT, put_section
from .entry import examine
from .faults import FAULTS, Fault
from .piece import STYLES, Piece, inputs_of, pieces
from .proof import symptoms, wrong_by_differences

RESULTS = Path(__file__).parents[1] / "results" / "students.json"
PAGE = ROOT / "npgpt" / "doctor" / "README.md"
COUNTS = ("faults", "detected", "placed", "repaired", "named")


def report_of(piece: Piece, folder: Path, text: str = "") -> tuple[str, Report]:
    """(entry point, report) of a piece; an exception becomes a finding of kind `raised`."""
    try:
        module = piece.load(folder)
        return examine(module, inputs_of(module, text))
    except Exception as error:  # of the student's code, or of the check because of it
        message = f"{type(error).__name__}: {error}"
        return "", Report(piece.name, findings=[Finding("raised", "", message)])


def targets(fault: Fault) -> set[str]:
    """The names that the faulty statement assigns; none for a return or a definition."""
    tree = ast.parse(fault.piece.source)
    around = [n for n in ast.walk(tree) if isinstance(n, ast.stmt)
              and n.lineno <= fault.line <= (n.end_lineno or 0)]
    statement = min(around, key=lambda n: (n.end_lineno or 0) - n.lineno)
    if isinstance(statement, ast.Assign):
        nodes: list[ast.expr] = list(statement.targets)
    else:
        nodes = [statement.target] if isinstance(statement, ast.AugAssign) else []
    return set().union(*map(_names, nodes)) - {"self", "grads", "g"}


def _names(node: ast.expr) -> set[str]:
    """`self.grads["W1"]` is grads and W1, `self.W.grad` is W."""
    if isinstance(node, ast.Tuple):
        return set().union(*map(_names, node.elts))
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Attribute):
        return _names(node.value) if node.attr == "grad" else {node.attr}
    if isinstance(node, ast.Subscript):
        key = {str(node.slice.value)} if isinstance(node.slice, ast.Constant) else set()
        return _names(node.value) | key
    return set()


def placed(fault: Fault, finding: Finding, wrong: list[str]) -> bool:
    """Does a finding name the faulty line, or what it assigns? `wrong` are proof's symptoms."""
    text = f"{finding.message} {finding.evidence}"
    lines = range(fault.line, fault.line + fault.before.count("\n") + 1)
    if {int(n) for n in re.findall(r"\b[lL]ine (\d+)", text)} & {*lines}:
        return True
    if {"raises", "writes", "remembers"} & {*wrong}:
        return True
    arguments = set(re.split(r",? and |, ", finding.argument))
    names = targets(fault)
    if not names:  # a return: exactly the gradients that are wrong
        return arguments == {*wrong}
    given = {f"d{a}" for a in arguments} | arguments
    return bool(names & given) or any(re.search(rf"\b{re.escape(n)}\b", text)
                                      for n in names if len(n) > 1)


OFFER = re.compile(r"[lL]ine (\d+) of (?:\w+|the lambda)(?:, which)? (?:has|computes|takes) `(.*?)`"
                   r"(?: in `.*?`)?[;,:] ?(?:and does not return it; )?"
                   r"(?:.*?`([^`]*)` (?:there it )?would be right|(without it) all is right)")
BEFORE = re.compile(r"([bB]efore|[aA]fter) line (\d+) of \w+, `(.*?)` is missing")


def offered(piece: Piece, message: str) -> Piece | None:
    """The piece with the change that a message offers, made as a reader would; None if there is
    none, or what it quotes does not stand there."""
    tree = ast.parse(piece.source)
    if found := BEFORE.search(message):
        for node in ast.walk(tree):
            for body in (getattr(node, "body", None), getattr(node, "orelse", None)):
                for at, one in enumerate(body if isinstance(body, list) else ()):
                    if one.lineno == int(found[2]) and not isinstance(one, ast.FunctionDef):
                        at += found[1].lower() == "after"
                        body.insert(at, ast.parse(found[3]).body[0])  # type: ignore[union-attr]
                        return replace(piece, source=ast.unparse(tree))
    found = OFFER.search(message)
    if not found:
        return None
    line, old, new = int(found[1]), found[2], "pass" if found[4] else found[3]
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            for at, one in enumerate(value) if isinstance(value, list) else [(-1, value)]:
                if isinstance(one, ast.arguments) and ast.unparse(one) == old.strip("()"):
                    first = node.body[0] if isinstance(node.body, list) else node  # type: ignore
                    if line <= first.lineno:
                        node.args = ast.parse(f"lambda {new.strip('()')}: 0").body[0].value.args
                        return replace(piece, source=ast.unparse(tree))
                if isinstance(one, (ast.expr, ast.stmt)) and one.lineno == line and (
                        ast.unparse(one) == old):
                    made: Any = ast.parse("def f():\n " + new).body[0].body[0]
                    if isinstance(one, ast.expr):
                        made = made.value
                        if isinstance(getattr(one, "ctx", None), ast.Store):
                            made.ctx = one.ctx
                    if at < 0:
                        setattr(node, name, made)
                    else:
                        value[at] = made
                    return replace(piece, source=ast.unparse(ast.fix_missing_locations(tree)))
    return None


def repaired(fault: Fault, finding: Finding) -> bool:
    """Does the change that a finding offers make every gradient right?"""
    try:
        piece = offered(fault.faulty, finding.message)
        return piece is not None and symptoms(fault.piece, piece, fault.inputs) == []
    except (SyntaxError, AttributeError):
        return False


def measure(style: str, only: str, show: bool, every: int = 1) -> dict[str, Any]:
    """The result of all pieces and faults, or of those of one style or name."""
    right: Counter[tuple[str, str]] = Counter()
    faults: Counter[tuple[str, str]] = Counter()
    categories: Counter[tuple[str, str]] = Counter()
    accused, answers = {}, {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for piece in pieces().values():
            if style not in ("", piece.style) or only not in ("", piece.name):
                continue
            if wrong := wrong_by_differences(piece):
                raise SystemExit(f"{piece.name}: the gradient of {', '.join(wrong)} is not right")
            entry, report = report_of(piece, folder)
            right[piece.style, "right"] += 1
            right[piece.style, "accused"] += not report.ok
            if not report.ok:
                accused[f"{piece.style}/{piece.name}"] = report.kinds
                if show:
                    print(f"ACCUSED {piece.name} ({entry})\n{report}\n", file=sys.stderr)
        for fault in FAULTS[::every]:
            piece = fault.faulty
            if style not in ("", piece.style) or only not in ("", piece.name):
                continue
            wrong = symptoms(fault.piece, piece, fault.inputs)
            if not wrong:
                raise SystemExit(f"{fault.id}: changes nothing")
            entry, report = report_of(piece, folder, fault.inputs)
            first = report.findings[0] if report.findings else Finding("", "", "")
            there = placed(fault, first, wrong)
            fixed = there and repaired(fault, first)
            named = fixed or there and first.kind in fault.accepted.split()
            for what, answer in zip(COUNTS, (True, not report.ok, there, fixed, named)):
                faults[piece.style, what] += answer
                categories[fault.category, what] += answer
            answers[f"{piece.style}/{fault.id}"] = " ".join(
                [first.kind or "nothing"] + ["placed"] * there + ["repaired"] * fixed
                + ["named"] * named)
            if show and not named:
                print(f"{fault.id}\n  line {fault.line}; wrong: {', '.join(wrong)}; should say: "
                      f"{fault.sentence}\n  accepted {fault.accepted}; {entry} says "
                      f"{first.kind or 'nothing'} of {first.argument}: {first.message} "
                      f"{first.evidence}\n", file=sys.stderr)
    styles = [s for s in STYLES if right[s, "right"]]
    return {
        "styles": {s: {**{w: right[s, w] for w in ("right", "accused")},
                       **{w: faults[s, w] for w in COUNTS}} for s in styles},
        "categories": {c: {w: categories[c, w] for w in COUNTS}
                       for c in sorted({c for c, _ in categories})},
        "accused": accused,
        "answers": answers,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def section(result: dict[str, Any]) -> str:
    """The two tables as Markdown."""
    styles, columns = result["styles"], ("right", "accused", *COUNTS)
    total = {w: sum(row[w] for row in styles.values()) for w in columns}
    lines = [
        f"{total['right']} right pieces of code as students write it, {total['accused']} of them "
        f"accused; {total['faults']} mistakes, {total['detected']} detected, {total['placed']} "
        f"placed, {total['named']} ({total['named'] / max(1, total['faults']):.0%}) named: for "
        f"{total['repaired']} the change that the report offers makes all right as it stands.", "",
        "| style | right pieces | accused | faults | detected | placed | repaired | named |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in [*styles.items(), ("**all**", total)]:
        lines.append(f"| {name} | " + " | ".join(str(row[w]) for w in columns) + " |")
    lines += ["", "<details><summary>by kind of mistake</summary>", "",
              "| mistake | faults | detected | placed | repaired | named |",
              "|---|---|---|---|---|---|"]
    for name, row in result["categories"].items():
        lines.append(f"| {name} | " + " | ".join(str(row[w]) for w in COUNTS) + " |")
    return "\n".join([*lines, "", "</details>"])


def main() -> int:
    """Measure, print the tables, and write them if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.students", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--style", choices=STYLES, default="", help="only this style")
    parser.add_argument("--only", metavar="NAME", default="", help="only this piece")
    parser.add_argument("--every", metavar="N", type=int, default=1,
                        help="only every Nth fault, for a quick look")
    parser.add_argument("--show", action="store_true",
                        help="print who is accused, and what was not named at its place")
    parser.add_argument("--write", action="store_true",
                        help=f"write {RESULTS.name} and the tables in npgpt/doctor/README.md")
    args = parser.parse_args()
    if args.write and (args.style or args.only or args.every > 1):
        parser.error("--write needs the whole set")
    started = time.process_time()
    result = measure(args.style, args.only, args.show, args.every)
    print(section(result))
    print(f"\n{time.process_time() - started:.0f} s of processor time")
    if args.write:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        put_section("students", section(result), PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
