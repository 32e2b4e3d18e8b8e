"""Name a fault by repairing it: which small change of the user's code makes every gradient right?

The code is run with changes (see source.py), and the rows of edits.py say which. Two observations
keep that short. A statement whose value is nudged moves some gradients and leaves others: the fault
stands where exactly the wrong ones move, and out does not. And gradients are linear in what such a
statement computes, so that a value to put in its place is judged without a run: by its distance
from the present one, times how the gradients move with each of its elements.

The proof is the change itself. It must bring the gradients to the true ones for several random
`dout`, at the given inputs, at others, and at other sizes.
"""

from __future__ import annotations

import ast
import contextlib
import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...arrays import Array
from ...gradcheck.numeric import norm
from ...gradcheck.pair import ContractError
from ..evidence.measure import Measurement, measure
from ..evidence.subject import CallError, users_code
from ..reading.source import Slot, slots
from .changes import Change, Repair, better, describe
from .edits import (
    Edit,
    fill,
    in_own_words,
    is_pytorchs,
    names_in,
    structural,
    swaps,
    throughout,
    tree,
)
from .reach import Reach, is_pure
from .rows import (
    AXIS,
    CUTS,
    FORMS,
    FORWARD,
    ONE_NAME,
    OTHER_NAME,
    SCALED,
    SHAPES,
    STATEMENTS,
    STRUCTURE,
    TWO_NAMES,
    Row,
)
from .sites import Site, alike, difference, is_value, statement_slots, within
from .suspects import Suspects
from .worlds import Budget, Elsewhere, World

LOOP = 400  # runs for one statement in a loop and one level of rows
NUMBER = re.compile(r"np\.sqrt\(([SZ /]+)\)")    # the root of a size
ROUNDS = 3  # faults that are searched one after another


def repairs(m: Measurement, wrong: list[int], budget: Budget) -> list[Change]:
    """The changes that make the gradients at `wrong` right, each with the inputs that it reaches;
    fewer than that where not all has a name."""
    if not m.numeric or not set(wrong) <= set(m.numeric):
        return []
    with contextlib.redirect_stdout(None), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = Search(m, budget)
        try:
            return list(search.causes(set(wrong)))
        finally:
            search.undo()


class Search(Suspects):
    """One search through the user's functions for what repairs them."""

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
            wrong = wrong - repair.positions
            if wrong:
                self._start()

    def proven(self, edit: Edit, site: Site, wrong: set[int]) -> Repair | None:
        """The repair that an edit is, if it is one: some wrong gradients are right with it, here
        and elsewhere, and no right one is wrong."""
        edit = edit._replace(new=in_own_words(edit.new, site.function))
        old = edit.slot.get()
        edit.slot.put(edit.new)
        try:
            with self.program.edited(site.function):
                good = self.home.right(0, self._run(self.home))
                rest = set(self.home.positions) - wrong
                gained = good & wrong
                if not gained or not rest <= good:
                    return None
                for k in range(1, len(self.m.douts)):
                    gained &= (good := self.home.right(k, self._run(self.home, k)))
                    if not gained or not rest <= good:
                        return None
        except CallError:
            return None
        finally:
            edit.slot.put(old)
        others = self._others_of(wrong)
        held = 0
        edit.slot.put(edit.new)
        try:
            with self.program.edited(site.function):
                for world in others:
                    try:
                        held += gained | rest <= world.right(0, self._run(world))
                    except CallError:
                        pass
        except CallError:
            return None
        finally:
            edit.slot.put(old)
        return Repair(edit.kind, site, edit.slot, edit.new, gained, held == len(others))

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
                if slot.field == "context_expr":
                    statement: Any = slot.parent
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
        classes = self._suspects(wrong)
        # two names together fit in many places: first anything plainer, wherever it stands
        for levels in (range(5), range(5, 7)) if ready else (range(2),):
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
                    if fallback is not None and fallback.everywhere and (
                            site.reach != wrong or level > 1):
                        return fallback
        return fallback or self._forward(wrong)

    def _tries(
        self, site: Site, level: int, wrong: set[int], keys: list[str], ready: bool
    ) -> Iterator[Repair]:
        wanted = sorted(site.reach & wrong if site.reach else wrong)
        if ready and site.looked != wanted and wanted:
            self._look(site, wanted)
        if level == 0:
            yield from self._structures(site, wrong, wanted, keys)
        elif level == 1 and not ready:
            for slot in within(site):
                for edit in structural(SHAPES, slot):
                    yield from self._judged(site, edit, wrong, wanted)
                yield from self._other_names(site, slot, wrong)
        elif ready and site.seen:
            rows = [(), OTHER_NAME, SCALED, ONE_NAME, FORMS, TWO_NAMES, ()][level]
            if rows:
                yield from self._named(site, list(rows), wrong, wanted)
            if level < 5 and site.reach and site.moves is None and (
                    len(site.seen) > 1 or level == 1):
                yield from self._by_runs(site, list(rows), wrong)
            if level == 4:
                for slot in within(site):
                    for edit in structural(SHAPES[:len(AXIS)], slot):
                        yield from self._judged(site, edit, wrong, wanted)

    def _structures(
        self, site: Site, wrong: set[int], wanted: list[int], keys: list[str]
    ) -> Iterator[Repair]:
        for slot in statement_slots(site):
            found = [*structural(STATEMENTS, slot), *swaps(site.function, slot, keys)]
            for edit in found:
                if (repair := self.proven(edit, site, wrong)) is not None:
                    yield repair
            if not isinstance(slot.get(), ast.stmt):
                yield from self._other_names(site, slot, wrong)
        if self.failed is not None and isinstance(site.function.node, ast.FunctionDef):
            for edit in swaps(site.function, Slot(site.function.node, "args", None), keys):
                if (repair := self.proven(edit, site, wrong)) is not None:
                    yield repair
        for slot in within(site):
            for edit in [*structural(STRUCTURE, slot), *swaps(site.function, slot, keys)]:
                yield from self._judged(site, edit, wrong, wanted)
        for edit in throughout(site.slot):
            yield from self._judged(site, edit, wrong, wanted)

    def _judged(
        self, site: Site, edit: Edit, wrong: set[int], wanted: list[int]
    ) -> Iterator[Repair]:
        """The repair that an edit is, seen from the value that it gives where that is enough."""
        if site.moves is not None and is_pure(edit.new) and is_pure(site.slot.get()):
            old = edit.slot.get()
            edit.slot.put(edit.new)
            try:
                values = Reach(site).values(site.slot.get())
            finally:
                edit.slot.put(old)
            if values is None:
                return
            step = difference(values, site)
            if step is not None and not self._fits(site, step, wanted):
                return
        if self.budget.left > 0 and (repair := self.proven(edit, site, wrong)) is not None:
            yield repair

    def _fits(self, site: Site, step: Array, wanted: list[int]) -> bool:
        assert site.moves is not None
        error = self.home.error(0, self.grads, wanted)
        return norm(site.moves @ step - error) <= 1e-6 * norm(error)

    def _other_names(self, site: Site, slot: Slot, wrong: set[int]) -> Iterator[Repair]:
        """Another name of the same kind in the place of a name, by running it."""
        node = slot.get()
        for part in [slot, *slots(node)]:
            name = part.get()
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load):
                value = site.function.values.get(name.id)
                for other, its in site.function.values.items():
                    if other != name.id and alike(value, its) and self.budget.left > 0:
                        edit = Edit("wrong-variable", part, ast.Name(other, ast.Load()))
                        if (repair := self.proven(edit, site, wrong)) is not None:
                            yield repair

    def _named(
        self, site: Site, rows: list[Row], wrong: set[int], wanted: list[int]
    ) -> Iterator[Repair]:
        """The edits that bring something else in reach to a place, judged by their values."""
        if site.moves is None:
            return
        reach = self._in_reach(site)
        error = self.home.error(0, self.grads, wanted)
        size = norm(error)
        holes = [(slot, hole) for slot in within(site)
                 if (rows != OTHER_NAME or isinstance(slot.get(), (
                     ast.Name, ast.Attribute, ast.Subscript, ast.Constant)))
                 and (hole := reach.hole(site.slot, slot)) is not None]
        # a plain change of a part goes before an involved one of the whole
        for row in rows:
            for slot, hole in holes:
                code = names_in(tree(row.replacement))
                for parts in reach.parts(row, code):
                    values = [hole.filled(row.replacement, parts, c) for c in (0.0, 1.0)] \
                        if "c" in code else [hole.filled(row.replacement, parts, 1.0)]
                    steps = [difference(v, site) if v is not None else None for v in values]
                    if any(s is None for s in steps) or "c" in code and any(
                            ast.dump(a.node) in ast.dump(slot.get()) for a in parts.values()):
                        continue  # the factor of a term that stands there is looked for at the term
                    moved = [site.moves @ s for s in steps]
                    c = 1.0
                    if len(moved) == 2:
                        slope = moved[1] - moved[0]
                        square = float(slope @ slope)
                        if not square > 0 or not np.isfinite(square):
                            continue
                        c = float(slope @ (error - moved[0])) / square
                        moved = [moved[0] + c * slope]
                    if not norm(moved[0] - error) <= 1e-6 * size:
                        continue
                    yield from self._written(site, slot, row, parts, c, reach, wrong)

    def _in_reach(self, site: Site) -> Reach:
        if site.in_reach is None:
            site.in_reach = Reach(site, self.program)
        return site.in_reach

    def _by_runs(self, site: Site, rows: list[Row], wrong: set[int]) -> Iterator[Repair]:
        """The edits that bring something else in reach to a place, each tried by a run."""
        reach, last = self._in_reach(site), self.budget.left - LOOP
        for row in rows:
            code = names_in(tree(row.replacement))
            for slot in within(site):
                if not is_value(slot, row):
                    continue
                for parts in reach.parts(row, code):
                    for c in ("1", "-1") if "c" in code else ("",):
                        if self.budget.left <= max(0, last):
                            return
                        text = row.replacement.replace("c * ", "-" * (c == "-1"))
                        if c == "1" and " + " not in text:
                            continue
                        new = fill(tree(text), E=slot.get(),
                                   **{k: a.node for k, a in parts.items()})
                        if ast.dump(new) != ast.dump(slot.get()) and (repair := self.proven(
                                Edit(row.kind, slot, new), site, wrong)) is not None:
                            yield repair

    def _written(
        self, site: Site, slot: Slot, row: Row, parts: dict[str, Any], c: float, reach: Reach,
        wrong: set[int],
    ) -> Iterator[Repair]:
        """The repairs of one row that fits with the number c: c as a number or as an expression."""
        given = {"E": slot.get(), **{k: a.node for k, a in parts.items()}}
        for kind, text, more in reach.numbers(row, c):
            if is_pytorchs(site.function):    # its sqrt takes no number
                text = NUMBER.sub(r"(\1) ** 0.5", text)
            new = fill(tree(text), **given, **more)
            if "(0 * " in text:
                continue
            repair = self.proven(Edit(kind, slot, new), site, wrong)
            if repair is not None:
                yield repair
                if repair.everywhere:
                    return
