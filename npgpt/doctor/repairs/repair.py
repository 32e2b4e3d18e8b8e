"""Name a fault by repairing it: which small change of the user's code makes every gradient right?

The code is run with changes (see source.py); rows.py and edits.py say which, tries.py proves one.
What keeps the search short: a statement whose value is nudged moves some gradients and leaves
others, and the fault stands where exactly the wrong ones move, and out does not; and where no step
of a statement's value makes the wrong ones right, it does not stand there.
"""

from __future__ import annotations

import ast
import contextlib
import warnings
from collections.abc import Iterator

import numpy as np

from ...gradcheck.numeric import norm
from ...gradcheck.pair import ContractError
from ..evidence.measure import Measurement, measure
from ..evidence.subject import CallError, users_code
from ..reading.source import slots
from .changes import Change, Repair, better, describe
from .edits import structural
from .rows import CUTS, FORWARD
from .sites import Site, within
from .tries import OPEN, Tries
from .worlds import Budget, Elsewhere, World

ROUNDS = 3  # faults that are searched one after another
ROUND = 2500  # runs that are there for each further fault
MOST_LINES = 6  # of those where a fault may stand that are listed


def repairs(m: Measurement, wrong: list[int], budget: Budget) -> tuple[list[Change], str]:
    """The changes that make the gradients at `wrong` right, each with the inputs that it reaches;
    fewer than that where not all has a name, and then a sentence on where the fault stands."""
    if not m.numeric or not set(wrong) <= set(m.numeric):
        return [], ""
    with contextlib.redirect_stdout(None), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = Search(m, budget)
        try:
            return list(search.causes(set(wrong))), search.where
        finally:
            search.undo()


class Search(Tries):
    """One search through the user's functions for what repairs them; `where` is a sentence on where
    a fault stands that nothing repairs."""

    where = ""

    def causes(self, wrong: set[int]) -> Iterator[Change]:
        """One fault after another, each with the former ones repaired."""
        for _ in range(ROUNDS):
            if not wrong or not self.program.functions:
                return
            repair = self._one(wrong)
            if repair is None:
                return
            yield describe(repair, wrong)
            self.applied.append((repair.site.function, repair.slot, repair.slot.get()))
            repair.slot.put(repair.new)
            self.program.keep(repair.site.function)
            self._others = None
            self.budget.left = max(self.budget.left, ROUND)
            wrong = wrong - repair.positions
            if wrong:
                self._start()

    def _forward(self, wrong: set[int]) -> Repair | None:
        """A change of forward after which backward, as it is, gives its gradients."""
        if self.m.subject.program.derived:      # it follows each change: only a cut can be wrong
            return self._joined(wrong)
        for site in [s for s in self.sites if s.forward]:
            for slot in within(site):
                for edit in structural(FORWARD, slot):
                    if self.budget.left <= 0:
                        return None
                    old = edit.slot.get()
                    edit.slot.put(edit.new)
                    try:
                        with self.program.edited(site.function):
                            if self._agrees(wrong):
                                out = self.m.subject.run()[0]
                                other = norm(out - self.m.out) > 1e-9 * norm(self.m.out)
                                return Repair(edit.kind, site, edit.slot, edit.new, wrong,
                                              other_out=other)
                    except (CallError, ContractError):
                        pass
                    finally:
                        edit.slot.put(old)
        return None

    def _joined(self, wrong: set[int]) -> Repair | None:
        """A forward without what cuts it off from the gradient."""
        found = [(site, slot) for site in self.sites for slot in within(site)]
        for function in self.program.functions:
            for slot in slots(function.node):
                if isinstance(slot.parent, ast.withitem) and slot.field == "context_expr":
                    statement = ast.copy_location(ast.Expr(slot.get()), slot.get())
                    found.append((Site(function, statement, slot), slot))
        for site, slot in found:
            for edit in structural(CUTS, slot):
                if (repair := self.proven(edit, site, wrong)) is not None:
                    return repair
        return None

    def _agrees(self, wrong: set[int]) -> bool:
        """Are all gradients right for forward as it now is? Along one direction, then by and by."""
        m, rng = self.m, np.random.default_rng(6)
        self.budget.left -= 4
        along = Elsewhere(m.subject, [min(wrong)])
        with users_code():
            if not along.right(0, along.run(0)):
                return False
        again = World(measure(m.subject, rng, list(m.numeric)))
        return set(again.positions) <= again.right(0, self._run(again))

    def _one(self, wrong: set[int]) -> Repair | None:
        """The first change that holds everywhere; else the first that holds here."""
        fallback: Repair | None = None
        ready = self.failed is None and all(
            i in self.grads and self.grads[i].shape == self.m.subject.shape(i) for i in wrong)
        keys = sorted({n.value for f in self.program.functions for n in ast.walk(f.node)
                       if isinstance(n, ast.Constant) and isinstance(n.value, str)
                       and n.value.isidentifier()})
        exact, others = self._suspects(wrong)
        sure = [s for c in exact for s in c if ready and self._is_sure(s, wrong)]
        # two names together fit in many places: first anything plainer, wherever it stands, unless
        # it is known where
        loops = [s for c in others for s in c if isinstance(s.statement, ast.For)]
        rounds = [([loops], range(1)), (exact, range(5)), ([sure], range(5, 7)),
                  (exact, range(OPEN, OPEN + 1)), (others, range(5)),
                  ([*exact, *others], range(5, OPEN + 1))]
        if not ready:
            rounds = [([*exact, *others], range(2))]
        for classes, levels in rounds:
            for suspects in classes:
                for level in levels:
                    for site in suspects:
                        for repair in self._tries(site, level, wrong, keys, ready):
                            if repair.everywhere and repair.positions == wrong:
                                return repair
                            if fallback is None or better(repair, fallback):
                                fallback = repair
                        if self.budget.left <= 0:
                            return fallback
                    if fallback is not None and fallback.everywhere and suspects and (
                            suspects[-1].reach != wrong or level > 1) and fallback.alone:
                        return fallback
        self.where = _places(sure)
        return fallback or self._forward(wrong)

    def _is_sure(self, site: Site, wrong: set[int]) -> bool:
        """Is it no matter of course that a value there makes all wrong gradients right?"""
        wanted = sorted(wrong)
        if site.reach == wrong and site.looked != wanted:
            self._look(site, wanted)
        return site.sure


def _places(sites: list[Site]) -> str:
    """A sentence on the lines where alone a value could make the gradients right."""
    lines: dict[str, set[int]] = {}
    for site in sites:
        lines.setdefault(site.function.name, set()).add(site.line)
    if not lines or sum(map(len, lines.values())) > MOST_LINES:
        return ""
    texts = [f"line{'s' * (len(its) > 1)} {', '.join(map(str, sorted(its)))} of {name}"
             for name, its in lines.items()]
    one = "one of " * (len(texts) > 1 or len(next(iter(lines.values()))) > 1)
    return f" The fault lies in {one}{' and '.join(texts)}: no other value could make all right."
