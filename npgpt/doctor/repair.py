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
import copy
import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..arrays import Array
from ..gradcheck.numeric import norm, signs
from ..gradcheck.pair import ContractError
from . import edits as table
from .edits import Edit, Row, fill, names_in, structural, swaps
from .fault import Fault
from .kinds import KINDS
from .measure import Measurement, measure
from .reach import Reach, copied, is_pure
from .source import Function, Slot, UserCode, failure, shortened, slots
from .subject import CallError, Subject, users_code

RIGHT = 1e-9  # the error of a repaired gradient that is rounding, as a fraction of it
NUDGE = 1e-3
STEP = 1e-5  # of a difference that is good for six digits
ELEMENTS = 400  # of a statement's value that are moved one by one
LOOP = 400  # runs for one statement in a loop and one level of rows
ROUNDS = 3  # faults that are searched one after another
Grads = dict[int, Array]


class OutChanged(Exception):
    """An edit changed what forward gives."""


@dataclass
class Budget:
    """How many runs are left; a count, so that a slow machine finds as much."""

    left: int


class World:
    """The pair at some inputs, and the true gradients there."""

    def __init__(self, m: Measurement) -> None:
        self.m, self.out = m, m.out
        self.positions = list(m.numeric)
        self.going_back = False

    def run(self, k: int) -> Grads:
        """The gradients that the pair as it now is gives for one dout; CallError where it raises,
        or where forward gives another out."""
        m = self.m
        with users_code():
            try:
                self.going_back = False
                out, cache = m.subject.run()
                self.going_back = True
                grads = m.subject.call_backward(m.douts[k].copy(), cache)
            except ContractError as error:  # what the edit makes of a pair need not be one
                raise CallError(error) from error
            if out.shape != self.out.shape or norm(out - self.out) > 1e-9 * norm(self.out):
                raise OutChanged
            if len(grads) <= max(self.positions):
                raise ValueError("expected a gradient for each input")
            return {i: np.asarray(grads[i], dtype=np.float64) for i in self.positions
                    if grads[i] is not None}

    def right(self, k: int, grads: Grads) -> set[int]:
        """The positions whose gradient is the true one."""
        m, found = self.m, set()
        for i in self.positions:
            true, given = m.numeric[i][k], grads.get(i)
            if given is None or given.shape != m.subject.shape(i):
                continue
            allowed = RIGHT * (norm(true) or 1.0) + 1e-12 + float(
                norm(m.errors[i] @ np.abs(m.douts[k]).reshape(-1)))
            if norm(given.reshape(-1) - true) <= allowed:
                found.add(i)
        return found

    def error(self, k: int, grads: Grads, wanted: list[int]) -> Array:
        """What is missing to the truth, all in a row."""
        return np.concatenate([self.m.numeric[i][k] - grads[i].reshape(-1) for i in wanted])


class Elsewhere(World):
    """The pair at other inputs, where it is enough to compare along one direction for each."""

    def __init__(self, subject: Subject, positions: list[int]) -> None:
        rng = np.random.default_rng(77)
        with users_code():
            out = np.asarray(subject.run()[0], dtype=np.float64)
        douts = signs(out.shape, rng)[None]
        super().__init__(Measurement(subject, out, douts, []))
        self.positions = positions
        self.along = {i: rng.standard_normal(subject.shape(i)) for i in positions}
        self.slopes = {i: self.slope(i, v) for i, v in self.along.items()}

    def slope(self, i: int, v: Array) -> float:
        """How sum(dout * out) changes if input i goes along v."""
        totals = []
        for t in (STEP, -STEP):
            with users_code():
                out = self.m.subject.with_input(i, self.m.subject.array(i) + t * v).run()[0]
                totals.append(float(np.sum(self.m.douts[0] * out)))
        return (totals[0] - totals[1]) / (2 * STEP)

    def right(self, k: int, grads: Grads) -> set[int]:
        """The positions whose gradient fits the difference along a direction."""
        return {i for i, v in self.along.items() if (g := grads.get(i)) is not None
                and g.shape == v.shape and abs(float(np.sum(g * v)) - self.slopes[i]) <= 1e-6 * (
                    abs(self.slopes[i]) + norm(g * v)) + 1e-9}


@dataclass
class Site:
    """A place whose value is computed, `slot` in `statement` of `function`: the wrong gradients
    that `reach`es (None where that is not known), what was seen there, and the `moves` (G, n) of
    the gradients with each of its n elements."""

    function: Function
    statement: ast.stmt | ast.Lambda
    slot: Slot
    order: int = 0
    reach: set[int] | None = None
    seen: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)
    moves: Array | None = None
    tried: bool = False
    forward: bool = False
    parameter: str = ""
    after: bool = False
    in_reach: Reach | None = None

    @property
    def line(self) -> int:
        """The line of its statement."""
        return self.function.line(self.slot.get() if self.parameter else self.statement)


@dataclass
class Repair:
    """A change after which the gradients at `positions` are right."""

    kind: str
    site: Site
    slot: Slot
    new: Any
    positions: set[int]
    everywhere: bool = True


@dataclass(frozen=True)
class Change:
    """A fault whose repair is known, the `inputs` whose gradients it reaches, and the repair in
    words: line 9 of f has `a`; `b` would be right."""

    fault: Fault
    inputs: list[int]
    text: str


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


class Search:
    """One search through the user's functions."""

    def __init__(self, m: Measurement, budget: Budget) -> None:
        self.m, self.budget = m, budget
        self.home = World(m)
        self.program = UserCode(m.subject.users)
        self.grads: Grads = {}
        self.failed: CallError | None = None
        self.applied: list[tuple[Function, Slot, Any]] = []
        self._others: list[Elsewhere] | None = None
        self.sites: list[Site] = []
        self._start()

    def _start(self) -> None:
        try:
            with self.program.edited():
                self.grads, self.failed = self.program.watch(lambda: self.home.run(0)), None
        except CallError as error:
            self.grads, self.failed = {}, error

    def undo(self) -> None:
        """Every tree as it was."""
        for _, slot, old in reversed(self.applied):
            slot.put(old)

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

    # -- running ---------------------------------------------------------------------------------

    def _run(self, world: World, k: int = 0) -> Grads:
        self.budget.left -= 1
        return world.run(k)

    def _others_of(self, wrong: set[int]) -> list[Elsewhere]:
        """The pair at other values and at other sizes."""
        if self._others is None:
            self._others = []
            for ways in elsewhere(self.m.subject):
                for subject in ways:
                    with contextlib.suppress(CallError, ContractError), self.program.edited():
                        world = Elsewhere(subject, list(self.m.numeric))
                        finite = all(map(np.isfinite, world.slopes.values()))
                        if finite and set(world.positions) - wrong <= world.right(0, world.run(0)):
                            self._others.append(world)
                            break
        return self._others

    def proven(self, edit: Edit, site: Site, wrong: set[int]) -> Repair | None:
        """The repair that an edit is, if it is one: some wrong gradients are right with it, here
        and elsewhere, and no right one is wrong."""
        old = edit.slot.get()
        others = self._others if self._others is not None else None
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
        if others is None:
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

    # -- where -----------------------------------------------------------------------------------

    def _sites(self) -> list[Site]:
        found = []
        for function in self.program.functions:
            found += [s for s in sites_of(function)]
        for order, site in enumerate(found):
            site.order = order
        return found

    @contextlib.contextmanager
    def _hooked(self, site: Site, hook: Callable[..., Any]) -> Iterator[None]:
        """With `hook(value, locals)` around the value of a site."""
        old = site.slot.get()
        call = ast.Call(ast.Name("_site", ast.Load()), [old, ast.Call(
            ast.Name("locals", ast.Load()), [], [])], [])
        site.slot.put(call)
        try:
            with self.program.edited(site.function, _site=hook):
                yield
        finally:
            site.slot.put(old)

    def _reach(self, site: Site) -> None:
        """Which gradients move with the value of a site?"""
        touched = []

        def nudge(value: Any, _: Any) -> Any:
            moved = nudged(value)
            touched.append(moved is not value)
            return moved

        try:
            with self._hooked(site, nudge):
                grads = self._run(self.home)
        except CallError as error:
            site.forward = isinstance(error.error, OutChanged)
            site.reach = set() if site.forward else None
            return
        if any(touched):
            site.reach = {i for i in self.home.positions if moved_by(
                self.grads.get(i), grads.get(i))}

    def _look(self, site: Site, wanted: list[int]) -> None:
        """What is computed at a site, and how the gradients move with it."""
        site.tried = True
        seen: dict[bool, list[tuple[Any, dict[str, Any]]]] = {False: [], True: []}

        def look(value: Any, names: Any) -> Any:
            seen[self.home.going_back].append((copied(value), copied(names)))
            return value

        with contextlib.suppress(CallError), self._hooked(site, look):
            self._run(self.home)
        back = bool(seen[True])  # a function that gives both is called twice
        site.seen = seen[back]
        values = [value for value, _ in site.seen]
        if not values or not all(is_number(v) for v in values):
            return
        sizes = [np.size(v) for v in values]
        total = sum(sizes)
        if not 0 < total <= ELEMENTS or any(self.grads[i].shape != self.m.subject.shape(i)
                                            for i in wanted):
            return
        base = self._row(self.grads, wanted)
        columns = []
        rng = np.random.default_rng(5)
        last = rng.standard_normal(total)
        step = np.zeros(0)
        at = [0]

        def move(value: Any, _: Any) -> Any:
            if self.home.going_back is not back:
                return value
            n = at[0]
            at[0] += 1
            if n >= len(sizes):
                return value
            part = step[sum(sizes[:n]):sum(sizes[:n + 1])]
            return np.asarray(value) + part.reshape(np.shape(value))

        try:
            with self._hooked(site, move):
                for step in [*np.eye(total), last]:
                    at[0] = 0
                    columns.append(self._row(self._run(self.home), wanted) - base)
        except (CallError, ValueError):
            return
        moves = np.array(columns[:-1]).T
        if len(sizes) == 1 and np.all(np.isfinite(moves)) and norm(moves @ last - columns[-1]) <= 1e-7 * norm(
                columns[-1]):
            site.moves = moves

    def _row(self, grads: Grads, wanted: list[int]) -> Array:
        return np.concatenate([grads[i].reshape(-1) for i in wanted])

    def _suspects(self, wrong: set[int]) -> list[list[Site]]:
        """The sites where the fault may stand, the most suspect first, in classes."""
        sites = self.sites = self._sites()
        if self.failed is not None:
            found = failure(self.failed.error)
            line = found[1].lineno if found else 0
            names = {n.id for n in ast.walk(found[1]) if isinstance(n, ast.Name)} if found else set()
            first = [s for s in sites if found and s.statement.lineno <= line <= (
                s.statement.end_lineno or 0)]
            second = [s for s in sites if s not in first and names & assigned(s.statement)]
            return [first, second, [s for s in sites if s not in first + second]]
        for site in sites:
            self._reach(site)
        # a gradient that is zero stays so whatever comes in
        zero = {i for i, rows in self.m.numeric.items() if not (np.abs(rows) > 1e-9).any()} - wrong
        exact = [s for s in sites if s.reach and s.reach - zero == wrong]
        part = [s for s in sites if s.reach and s.reach - zero < wrong]
        part.sort(key=lambda s: -len(s.reach or ()))
        blind = [s for s in sites if s.reach is None]
        over = [s for s in sites if s.reach and s.reach - zero > wrong]
        forward = {id(s.function) for s in sites if s.forward}
        behind = [s for s in exact if id(s.function) not in forward]
        before = [s for s in exact if id(s.function) in forward]
        classes = [*self._by_names(behind, sites), *self._by_names(before, sites), part, over,
                   blind]
        return [c for c in classes if c]

    def _by_names(self, sites: list[Site], every: list[Site]) -> list[list[Site]]:
        """First what assigns a wrong `dh` from right ones; then the rest, those last that assign a
        right `dh`."""
        verdicts = self._verdicts(every) if len(sites) > 1 else {}
        own = [{verdicts[n] for n in assigned(s.statement) if n in verdicts} for s in sites]
        used = [{verdicts[n.id] for n in ast.walk(s.slot.get()) if isinstance(n, ast.Name)
                 and n.id in verdicts and n.id not in assigned(s.statement)} for s in sites]
        prime = [s for s, o, u in zip(sites, own, used) if o == {False} and False not in u]
        if prime:
            names = set().union(*(assigned(s.statement) for s in prime))
            prime = [s for s in sites if s in prime or assigned(s.statement) <= names]
            after = [s for s in sites if s not in prime and names & {
                n.id for n in ast.walk(s.slot.get()) if isinstance(n, ast.Name)}]
            return [prime, after, [s for s in sites if s not in prime + after]]
        last = max((k for k, o in enumerate(own) if o == {True}), default=-1)
        first = min((k for k, o in enumerate(own) if o == {False} and k > last),
                    default=len(sites) - 1)
        while first + 1 < len(sites) and assigned(sites[first + 1].statement) == assigned(
                sites[first].statement):
            first += 1
        return [sites[last + 1:first + 1], sites[max(last, 0):last + 1], sites[first + 1:],
                sites[:max(last, 0)]]

    def _verdicts(self, sites: list[Site]) -> dict[str, bool]:
        """For each local `dh` beside an `h` that forward computes once: is it h's gradient?"""
        found: dict[str, bool] = {}
        held = {name: value for f in self.program.functions for name, value in f.values.items()
                if isinstance(value, np.ndarray) and value.dtype.kind == "f"}
        names = [(s, n) for s in sites for n in assigned(s.statement)
                 if isinstance(s.statement, ast.Assign) and not s.parameter]
        for site, name in names:
            twins = [d for d in (f"d{name}", f"d_{name}", f"grad_{name}", f"{name}_grad")
                     if d in held]
            if not twins or sum(n == name for _, n in names) > 1 or sum(
                    twins[0] in assigned(s.statement) for s in sites
                    if isinstance(s.statement, ast.For)):
                continue
            slope = self._slope(site, held[twins[0]].shape)
            if slope is not None:
                direction, value = slope
                given = float(np.sum(held[twins[0]] * direction))
                # a loss's own gradient knows nothing of dout
                one = float(self.m.douts[0].reshape(-1)[0]) if self.m.out.size == 1 else 1.0
                found[twins[0]] = any(abs(g - value) <= 1e-5 * (abs(value) + abs(g)) + 1e-12
                                      for g in (given, one * given))
        return found

    def _slope(self, site: Site, shape: tuple[int, ...]) -> tuple[Array, float] | None:
        """A direction, and how sum(dout * out) changes if a site's value goes along it."""
        direction = np.random.default_rng(3).standard_normal(shape)
        totals = []
        m = self.m
        for t in (1e-4, -1e-4):
            calls = []

            def move(value: Any, _: Any, t: float = t, calls: list[int] = calls) -> Any:
                calls.append(1)
                return value + t * direction if np.shape(value) == shape else value

            try:
                with self._hooked(site, move):
                    self.budget.left -= 1
                    totals.append(float(np.sum(m.douts[0] * m.subject.run()[0])))
            except CallError:
                return None
            if len(calls) != 1:
                return None
        return direction, (totals[0] - totals[1]) / 2e-4

    def _forward(self, wrong: set[int]) -> Repair | None:
        """A change of forward after which backward, as it is, gives its gradients."""
        for site in [s for s in self.sites if s.forward]:
            for slot in within(site):
                for edit in structural(table.FORWARD, slot):
                    if self.budget.left <= 0:
                        return None
                    old = edit.slot.get()
                    edit.slot.put(edit.new)
                    try:
                        with self.program.edited(site.function):
                            if self._agrees(wrong):
                                return Repair(edit.kind, site, edit.slot, edit.new, wrong)
                    except CallError:
                        pass
                    finally:
                        edit.slot.put(old)
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

    # -- what ------------------------------------------------------------------------------------

    def _one(self, wrong: set[int]) -> Repair | None:
        """The first change that holds everywhere; else the first that holds here."""
        fallback: Repair | None = None
        ready = self.failed is None and all(
            i in self.grads and self.grads[i].shape == self.m.subject.shape(i) for i in wrong)
        keys = sorted({n.value for f in self.program.functions for n in ast.walk(f.node)
                       if isinstance(n, ast.Constant) and isinstance(n.value, str)
                       and n.value.isidentifier()})
        for suspects in self._suspects(wrong):
            for level in range(6 if ready else 2):
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
        if ready and not site.tried and wanted:
            self._look(site, wanted)
        if level == 0:
            yield from self._structures(site, wrong, wanted, keys)
        elif level == 1 and not ready:
            for slot in within(site):
                for edit in structural(table.SHAPES, slot):
                    yield from self._judged(site, edit, wrong, wanted)
                yield from self._other_names(site, slot, wrong)
        elif ready and site.seen:
            rows = [(), table.OTHER_NAME, table.ONE_NAME, table.FORMS, table.TWO_NAMES, ()][level]
            if rows:
                yield from self._named(site, list(rows), wrong, wanted)
            if level < 4 and site.reach and site.moves is None and (
                    len(site.seen) > 1 or level == 1):
                yield from self._by_runs(site, list(rows), wrong)
            if level == 3:
                for slot in within(site):
                    for edit in structural(table.SHAPES[:len(table.AXIS)], slot):
                        yield from self._judged(site, edit, wrong, wanted)

    def _structures(
        self, site: Site, wrong: set[int], wanted: list[int], keys: list[str]
    ) -> Iterator[Repair]:
        for slot in statement_slots(site):
            found = [*structural(table.STATEMENTS, slot), *swaps(site.function, slot, keys)]
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
            for edit in [*structural(table.STRUCTURE, slot), *swaps(site.function, slot, keys)]:
                yield from self._judged(site, edit, wrong, wanted)
        for edit in table.throughout(site.slot):
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
        for slot in within(site):
            leaf = isinstance(slot.get(), (ast.Name, ast.Attribute, ast.Subscript, ast.Constant))
            if rows == table.OTHER_NAME and not leaf:
                continue
            hole = reach.hole(site.slot, slot)
            if hole is None:
                continue
            for row in rows:
                code = names_in(table.tree(row.replacement))
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
            code = names_in(table.tree(row.replacement))
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
                        new = fill(table.tree(text), E=slot.get(),
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
            new = fill(table.tree(text), **given, **more)
            if "(0 * " in text:
                continue
            repair = self.proven(Edit(kind, slot, new), site, wrong)
            if repair is not None:
                yield repair
                if repair.everywhere:
                    return


def better(a: Repair, b: Repair) -> bool:
    """Is a repair to be preferred: proven at other sizes, or for more gradients?"""
    return (a.everywhere, len(a.positions)) > (b.everywhere, len(b.positions))


# -- small things ----------------------------------------------------------------------------------

def elsewhere(subject: Subject) -> Iterator[list[Subject]]:
    """The same pair at other values, and with each size in turn a little larger, as far as it can
    be: each time the ways to do it, of which one will do."""
    rng = np.random.default_rng(11)

    def moved(inputs: list[Any]) -> Subject:
        return subject.with_inputs([
            a * np.exp(0.3 * rng.standard_normal(a.shape)) if i in subject.floats else a
            for i, a in enumerate(inputs)])

    yield [moved(list(subject.inputs))]
    sizes = sorted({n for i in subject.floats for n in subject.shape(i) if n > 1})
    for n in sizes:
        other = next(k for k in itertools.count(n + 1) if k not in sizes)
        yield [moved([None if a is None else grown(a, n, to, together, i in subject.floats)
                      for i, a in enumerate(subject.inputs)])
               for to in (other, 2 * n) for together in (False, True)]


def grown(a: Array, n: int, other: int, together: bool, repeat: bool) -> Array:
    """An array whose axes of length n (or, `together`, of a multiple) are longer: its values begin
    again, or zeros follow."""
    for axis, size in enumerate(a.shape):
        if size == n or together and size % n == 0:
            b = a.take(np.arange(size // n * other) % size, axis)
            if not repeat and axis and a.dtype.kind == "f":
                b[(slice(None),) * axis + (slice(size, None),)] = 0
            a = b
    return a


def sites_of(function: Function) -> Iterator[Site]:
    """The places of one function where something is computed."""
    node = function.node
    if isinstance(node, ast.Lambda):
        yield from _parts(function, node, Slot(node, "body", None))
        return
    for slot in slots(node):
        statement = slot.get()
        if isinstance(statement, ast.Lambda):
            yield from _parts(function, statement, Slot(statement, "body", None))
        if isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)):
            if statement.value is not None and not isinstance(statement.value, ast.Constant) or (
                    not isinstance(statement, ast.Expr)):
                yield from _parts(function, statement, Slot(statement, "value", None))
        if isinstance(statement, ast.For):
            yield Site(function, statement, Slot(statement, "iter", None))
    if function.parameters is None:
        function.parameters = list(_parameters(function, node))
    yield from function.parameters


def _parts(function: Function, statement: Any, slot: Slot) -> Iterator[Site]:
    node = slot.get()
    if node is None or isinstance(node, ast.Lambda):
        return
    if isinstance(node, (ast.Tuple, ast.List)):
        for k in range(len(node.elts)):
            yield from _parts(function, statement, Slot(node, "elts", k))
    elif isinstance(node, ast.Dict):
        for k in range(len(node.values)):
            yield from _parts(function, statement, Slot(node, "values", k))
    else:
        if not isinstance(statement, ast.Expr):
            yield Site(function, statement, slot)
        if isinstance(node, ast.Call) and not is_pure(node):
            for k in range(len(node.args)):
                yield from _parts(function, statement, Slot(node, "args", k))


def _parameters(function: Function, node: ast.FunctionDef) -> Iterator[Site]:
    """A place for each parameter right before it is first used, and for each name right after a
    part of it was changed: `p = p`, which changes nothing."""
    for inner in [n for n in ast.walk(node) if isinstance(n, ast.FunctionDef)]:
        for name in [a.arg for a in inner.args.args if a.arg != "self"]:
            for at, statement in enumerate(inner.body):
                if name in {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}:
                    if not isinstance(statement, ast.FunctionDef) and not unpacks(statement):
                        yield _beside(function, inner.body, at, name, after=False)
                    break
    for block in [b for n in ast.walk(node) for b in (getattr(n, "body", None), getattr(
            n, "orelse", None)) if isinstance(b, list)]:
        for at, statement in enumerate(block):
            targets = getattr(statement, "targets", [getattr(statement, "target", None)])
            if isinstance(statement, (ast.Assign, ast.AugAssign)) and not (
                    isinstance(statement, ast.Assign) and isinstance(targets[0], ast.Name)):
                for name in assigned(statement):
                    if any(isinstance(n, ast.Name) and n.id == name
                           for t in targets for n in ast.walk(t)):
                        yield _beside(function, block, at, name, after=True)
                        break


def _beside(
    function: Function, block: list[ast.stmt], at: int, name: str, after: bool
) -> Site:
    """`name = name` before or after a statement, both under one condition that holds."""
    statement = block[at]
    new = ast.Assign([ast.Name(name, ast.Store())], ast.Name(name, ast.Load()))
    pair: list[ast.stmt] = [statement, new] if after else [new, statement]
    both = ast.If(ast.Constant(True), pair, [])
    for part in (*ast.walk(new), both, both.test):
        ast.copy_location(part, statement)
    block[at] = both
    return Site(function, new, Slot(new, "value", None), parameter=name, after=after)


def unpacks(statement: ast.stmt) -> bool:
    """`x, w = cache` and the like, or a return."""
    return isinstance(statement, ast.Return) or isinstance(statement, ast.Assign) and isinstance(
        statement.targets[0], ast.Tuple) and not isinstance(statement.value, (ast.BinOp, ast.Call))


def within(site: Site) -> list[Slot]:
    """A site's own place and the places inside it."""
    node = site.slot.get()
    inner = [] if isinstance(node, ast.Name) else [
        s for s in table.places(node) if not isinstance(s.get(), ast.Lambda)]
    return [site.slot, *inner]


def statement_slots(site: Site) -> Iterator[Slot]:
    """The statement of a site as a place, its targets, and the parameters of its function."""
    if site.parameter or isinstance(site.statement, ast.Lambda):
        return
    for slot in slots(site.function.node):
        if slot.get() is site.statement:
            yield slot
            break
    for target in getattr(site.statement, "targets", [getattr(site.statement, "target", None)]):
        if isinstance(target, ast.Subscript):
            yield Slot(target, "slice", None)
    for k, target in enumerate(getattr(site.statement, "targets", [])):
        if isinstance(target, ast.Tuple):
            yield Slot(site.statement, "targets", k)
    for slot in slots(site.statement):
        if isinstance(slot.get(), (ast.Tuple, ast.Dict)) and slot.field not in ("slice", "targets"):
            yield slot


def assigned(statement: Any) -> set[str]:
    """The names that a statement gives a value to; `self.h` is h."""
    found = set()
    for target in getattr(statement, "targets", None) or [getattr(statement, "target", None)]:
        for node in target.elts if isinstance(target, ast.Tuple) else [target]:
            while isinstance(node, ast.Subscript):
                node = node.value
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
    return found


def nudged(value: Any) -> Any:
    """A value a little beside a value; the value itself where that makes no sense."""
    if isinstance(value, (tuple, list)):
        moved = [nudged(v) for v in value]
        return value if all(a is b for a, b in zip(moved, value)) else type(value)(moved)
    if isinstance(value, dict):
        return {k: nudged(v) for k, v in value.items()}
    if isinstance(value, (bool, np.bool_)) or not is_number(value):
        return value
    array = np.asarray(value)
    if array.dtype.kind in "iu" and array.ndim:
        return value
    step = NUDGE * np.random.default_rng(1).uniform(0.5, 1.5, array.shape)
    return array + step * (1 + np.abs(array))


def moved_by(a: Array | None, b: Array | None) -> bool:
    """Are two gradients not the same?"""
    if a is None or b is None or a.shape != b.shape:
        return (a is None) != (b is None) or a is not None
    return bool(norm(a - b) > 1e-11 * norm(a)) or not bool(np.isfinite(b).all())


def is_number(value: Any) -> bool:
    """An array or a number."""
    return isinstance(value, (np.ndarray, np.number, np.bool_, int, float)) and (
        np.asarray(value).dtype.kind in "fiub")


def difference(values: list[Any], site: Site) -> Array | None:
    """From the values at a site to others, all in a row; None where they have another shape."""
    rows = []
    for new, (old, _) in zip(values, site.seen, strict=True):
        if np.shape(new) != np.shape(old):
            if np.shape(new) and isinstance(site.statement, (ast.Assign, ast.Return, ast.Lambda)):
                return None
            with contextlib.suppress(ValueError):
                new = np.broadcast_to(new, np.shape(old))
            if np.shape(new) != np.shape(old):
                return None
        rows.append(np.asarray(new, dtype=float).reshape(-1)
                    - np.asarray(old, dtype=float).reshape(-1))
    return np.concatenate(rows)


def is_value(slot: Slot, row: Row) -> bool:
    """May a place hold what a row brings there?"""
    leaf = isinstance(slot.get(), ast.Name)
    return slot.field != "slice" and (leaf or not isinstance(
        slot.parent, (ast.Attribute, ast.Subscript)))


def alike(a: Any, b: Any) -> bool:
    """Could two names be mistaken for each other?"""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return bool(a.dtype.kind == b.dtype.kind)
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return True
    return type(a) is type(b) and a is not None


def describe(repair: Repair, wrong: set[int]) -> Change:
    """The fault that a change repairs, with its line and what would be right there."""
    site, old, new, kind = repair.site, repair.slot.get(), repair.new, repair.kind
    before, after = ast.unparse(old), ast.unparse(ast.fix_missing_locations(copy.deepcopy(new)))
    where = f"line {getattr(old, 'lineno', site.line)} of {site.function.name}"
    if kind == "wrong-variable" and isinstance(new, ast.BinOp) and ast.dump(old) in (
            ast.dump(new.left), ast.dump(new.right)):
        kind = "term-factor" if isinstance(new.op, (ast.Mult, ast.Div)) else "missing-term"
    if site.parameter:
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
        text = f"{where} has `{before}`{parent}; `{after}` would be right."
    which = "every gradient equals" if repair.positions == wrong else "these gradients equal"
    more = "other inputs and other sizes" if repair.everywhere else "other random `dout`"
    fault = Fault(kind, f"{KINDS[kind].rstrip('.')}: {text}",
                  f"with this one change {which} the numerical one, here and at {more}")
    return Change(fault, sorted(repair.positions), text)
