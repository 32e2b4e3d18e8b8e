"""A change of the user's code that makes gradients right, and what a report says of it."""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass

from ..evidence.fault import Fault
from ..evidence.kinds import KINDS
from ..reading.source import Slot, shortened
from .sites import Site


@dataclass
class Repair:
    """A change after which the gradients at `positions` are right."""

    kind: str
    site: Site
    slot: Slot
    new: ast.AST
    positions: set[int]
    everywhere: bool = True
    other_out: bool = False     # forward gives another output with it

    @property
    def alone(self) -> bool:
        """Does it bring right all that its place moves, or several that one value there can?"""
        reach = self.site.reach
        return reach is None or reach <= self.positions or (
            1 < len(self.positions) >= len(self.site.aim))


@dataclass(frozen=True)
class Change:
    """A fault whose repair is known, the `inputs` whose gradients it reaches, and the repair in
    words: line 9 of f has `a`; `b` would be right. Does it change `forward`'s output?"""

    fault: Fault
    inputs: list[int]
    text: str
    forward: bool = False


def better(a: Repair, b: Repair) -> bool:
    """Is a repair to be preferred: proven at other sizes, for all that its place moves, or for more
    gradients?"""
    return (a.everywhere, a.alone, len(a.positions)) > (b.everywhere, b.alone, len(b.positions))


def _whole(repair: Repair) -> str:
    """What the expression around the place of a change becomes."""
    old = repair.slot.get()
    repair.slot.put(repair.new)
    try:
        return ast.unparse(ast.fix_missing_locations(copy.deepcopy(repair.slot.parent)))
    finally:
        repair.slot.put(old)


def describe(repair: Repair, wrong: set[int]) -> Change:
    """The fault that a change repairs, with its line and what would be right there."""
    site, old, new, kind = repair.site, repair.slot.get(), repair.new, repair.kind
    before, after = ast.unparse(old), ast.unparse(ast.fix_missing_locations(copy.deepcopy(new)))
    where = f"line {getattr(old, 'lineno', site.line)} of {site.function.name}"
    if kind == "wrong-variable" and isinstance(new, ast.BinOp) and ast.dump(old) in (
            ast.dump(new.left), ast.dump(new.right)):
        scaled = isinstance(new.op, (ast.Mult, ast.Div))
        by_number = isinstance(new.left, ast.Constant) or isinstance(new.right, ast.Constant)
        kind = "missing-term" if not scaled else "term-factor" if by_number else "missing-factor"
    if site.parameter:
        kind = "missing-term" if kind == "wrong-variable" and site.after else kind
        place = "after" if site.after else "before"
        text = f"{place} {where}, `{site.parameter} = {after}` is missing."
    elif kind == "forgotten-return":
        text = f"{where} computes `{before}` and does not return it; `{after}` would be right."
    elif isinstance(new, ast.Pass):
        text = f"{where} has `{before}`; without it all is right."
    elif isinstance(old, ast.arguments):
        text = f"{where} takes `({before})`; `({after})` would be right."
    else:
        target = getattr(site.statement, "targets", [None])[0]
        if repair.slot is site.slot and isinstance(target, ast.Name):
            before, after = f"{target.id} = {before}", f"{target.id} = {after}"
        around = shortened(repair.slot.parent) if isinstance(repair.slot.parent, ast.expr) else ""
        parent = f" in `{around}`" if around and around.strip("(),") != before.strip("()") else ""
        if parent and after.strip("()") == ast.unparse(repair.slot.parent):
            # `3 * x` for the 3 of `3 * x`: only the whole says what is meant
            parent, before, after = "", ast.unparse(repair.slot.parent), _whole(repair)
        text = f"{where} has `{before}`{parent}; `{after}` would be right."
        if repair.other_out:
            text = f"{where} has `{before}`{parent}, and backward fits another forward: with " \
                f"`{after}` there it would be right. Correct the one that is not meant so."
    which = "every gradient equals" if repair.positions == wrong else "these gradients equal"
    more = "other inputs and other sizes" if repair.everywhere else "other random `dout`"
    fault = Fault(kind, f"{KINDS[kind]} {text[0].upper()}{text[1:]}",
                  f"with this one change {which} the numerical one, here and at {more}")
    return Change(fault, sorted(repair.positions), text, repair.other_out)
