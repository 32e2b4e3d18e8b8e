"""The changes of one place that make gradients right, by what they cost, each with its proof.

The proof is the change itself. It must bring the gradients to the true ones for several random
`dout`, at the given inputs, at others, and at other sizes. Where gradients are linear in what a
place computes, a value to put there is judged without a run: by its distance from the present one,
times how the gradients move with each of its elements.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...arrays import Array
from ...gradcheck.numeric import norm
from ..evidence.subject import CallError
from ..reading.source import Slot, slots
from .changes import Repair
from .edits import Edit, fill, names_in, structural, swaps, throughout, tree
from .reach import Reach, is_pure
from .rows import (
    AXIS,
    COMPARED,
    FORMS,
    ONE_NAME,
    OTHER_NAME,
    REDUCED,
    SCALED,
    SHAPES,
    STATEMENTS,
    STRUCTURE,
    TWO_NAMES,
    Row,
)
from .sites import (
    Site,
    alike,
    difference,
    is_number,
    is_value,
    may_fit,
    statement_slots,
    within,
)
from .suspects import Suspects
from .words import in_own_words, is_pytorchs

NUMBER = re.compile(r"np\.sqrt\(([SZ /]+)\)")    # the root of a size
OPEN = 7    # the level of what is tried in loops whose values are left open
LOOP = 400  # runs for one statement in a loop and one level of rows


class Tries(Suspects):
    """The repairs that a site allows."""

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

    def _tries(
        self, site: Site, level: int, wrong: set[int], keys: list[str], ready: bool
    ) -> Iterator[Repair]:
        wanted = sorted(site.reach & wrong if site.reach else wrong)
        if ready and site.looked != wanted and wanted:
            self._look(site, wanted)
        for view in [site, *site.others]:
            yield from self._at(view, level, wrong, view.aim if ready else wanted, keys, ready)

    def _at(
        self, site: Site, level: int, wrong: set[int], wanted: list[int], keys: list[str],
        ready: bool,
    ) -> Iterator[Repair]:
        """The repairs of one level of cost at a site, for the gradients at `wanted`."""
        if level == 0:
            yield from self._structures(site, wrong, wanted, keys)
        elif level == 1 and not ready:
            for slot in within(site):
                for edit in structural(SHAPES, slot):
                    yield from self._judged(site, edit, wrong, wanted)
                yield from self._other_names(site, slot, wrong)
        elif ready and site.seen and not site.hopeless:
            rows = [(), OTHER_NAME, SCALED, ONE_NAME, FORMS, TWO_NAMES, (), ()][level]
            if rows:
                yield from self._named(site, list(rows), wrong, wanted)
            if level == 2 and site.reach and site.moves is None and all(
                    is_number(v) and np.ndim(v) == 0 for v, _ in site.seen):
                yield from self._sizes(site, wrong, wanted)
            if level < 5 and site.reach and site.moves is None and (
                    len(site.seen) > 1 or level == 1):
                yield from self._by_runs(site, list(rows), wrong)
            if level == OPEN and site.moves is not None and not site.settled:
                # what a loop forgets is often what the round before handed on
                for row in [*OTHER_NAME, *sorted(
                        ONE_NAME, key=lambda row: " + c" not in row.replacement)]:
                    yield from self._by_runs(site, [row], wrong)
            if level == 4:
                for slot in within(site):
                    for edit in structural(SHAPES[:len(AXIS)], slot):
                        yield from self._judged(site, edit, wrong, wanted)

    def _structures(
        self, site: Site, wrong: set[int], wanted: list[int], keys: list[str]
    ) -> Iterator[Repair]:
        for slot in statement_slots(site):
            found = [*structural(STATEMENTS, slot), *swaps(site.function, slot, keys)]
            found += structural(COMPARED, slot) if slot.field in ("slice", "test") else ()
            for edit in found:
                if (repair := self.proven(edit, site, wrong)) is not None:
                    yield repair
            if not isinstance(slot.get(), ast.stmt):
                yield from self._other_names(site, slot, wrong)
        if self.failed is not None and isinstance(site.function.node, ast.FunctionDef):
            for edit in swaps(site.function, Slot(site.function.node, "args", None), keys):
                if (repair := self.proven(edit, site, wrong)) is not None:
                    yield repair
        table = [] if isinstance(site.statement, ast.For) else STRUCTURE
        for slot in within(site):
            # at a hopeless place only a value of another shape can be right
            for edit in structural(REDUCED, slot) if site.hopeless else (
                    *structural(table, slot), *swaps(site.function, slot, keys)):
                yield from self._judged(site, edit, wrong, wanted)
        for edit in throughout(site.slot) if not site.hopeless else ():
            yield from self._judged(site, edit, wrong, wanted)

    def _judged(
        self, site: Site, edit: Edit, wrong: set[int], wanted: list[int]
    ) -> Iterator[Repair]:
        """The repair that an edit is, seen from the value that it gives where that is enough."""
        seen = site.moves is not None or site.hopeless
        if seen and is_pure(edit.new) and is_pure(site.slot.get()):
            old = edit.slot.get()
            edit.slot.put(edit.new)
            try:
                values = Reach(site).values(site.slot.get())
            finally:
                edit.slot.put(old)
            if values is None:
                return
            step = difference(values, site)
            if step is not None and (site.hopeless or not self._fits(site, step, wanted)):
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
        several = len(site.seen) > 1
        unfit: set[object] = set()      # shapes that do not go together need no second look
        # a plain change of a part goes before an involved one of the whole
        for row in rows:
            code, added = names_in(tree(row.replacement)), " + c" in row.replacement
            for slot, hole in holes:
                present = ast.dump(slot.get()) if "c" in code else ""
                for parts in reach.parts(row, code):
                    key = row.replacement, id(hole), *(a.shapes for a in parts.values())
                    if key in unfit or present and any(
                            a.text in present or a.scalar and not added
                            for a in parts.values()):
                        continue  # the factor of a term that stands there is looked for at the term
                    if several and row.replacement != "c * E":
                        value = hole.filled(row.replacement, parts, 1.0, first=True)
                        if value is None or not may_fit(value, site, bool(present)):
                            unfit |= {key} if value is None else set()
                            continue
                    values = [hole.filled(row.replacement, parts, c)
                              for c in ((0.0, 1.0) if present and not added else (1.0,))]
                    steps = [difference(v, site) if v is not None else None for v in values]
                    if any(s is None for s in steps):
                        unfit.add(key)
                        continue
                    moved = [site.moves @ s for s in steps]
                    c = 1.0
                    if present:
                        slope = moved[1] - moved[0] if len(moved) == 2 else moved[0]
                        square = float(slope @ slope)
                        if not square > 0 or not np.isfinite(square):
                            continue
                        start = moved[0] if len(moved) == 2 else 0.0
                        c = float(slope @ (error - start)) / square
                        moved = [start + c * slope]
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

    def _sizes(self, site: Site, wrong: set[int], wanted: list[int]) -> Iterator[Repair]:
        """Another number for one that a site gives, such as a count that is divided by."""
        (value, _), old = site.seen[0], site.slot.get()
        if not is_number(value) or not value or len({float(v) for v, _ in site.seen}) > 1:
            return
        numbers = self._in_reach(site).numbers_for(old, float(value))
        sizes, back = [1] * len(site.seen), self._record(site)[0]
        for number, nodes in numbers.items():
            if self.budget.left <= 0:
                return
            try:
                grads = self._moved(site, np.full(len(sizes), number - value), sizes, back)
            except CallError:
                continue
            for node in nodes if {*wanted} <= self.home.right(0, grads) else ():
                repair = self.proven(Edit("term-factor", site.slot, node), site, wrong)
                if repair is not None:
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
