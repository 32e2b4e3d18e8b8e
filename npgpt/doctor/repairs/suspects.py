"""Where may the fault stand? A statement whose value is nudged moves some gradients and leaves
others: the fault stands where exactly the wrong ones move, and out does not. Where a local `dh`
stands beside an `h` of forward, it is seen besides which of them is right.
"""

from __future__ import annotations

import ast
import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...arrays import Array
from ...gradcheck.numeric import norm
from ...gradcheck.pair import ContractError
from ..evidence.measure import Measurement
from ..evidence.subject import CallError
from ..evidence.tree import is_array
from ..reading.raised import failure
from ..reading.source import Function, Slot, UserCode
from .reach import as_given, copied
from .sites import Seen, Site, assigned, is_number, moved_by, nudged, sites_of
from .worlds import Budget, Elsewhere, Grads, OutChanged, World, elsewhere

ELEMENTS = 400  # of a statement's value that are moved one by one
AIMS = 3  # sets of gradients that one place could make right
MANY = 6  # gradients of which not every set is tried


class Suspects:
    """The user's functions, seen from a run, and the sites where the fault may stand."""

    def __init__(self, m: Measurement, budget: Budget) -> None:
        self.m, self.budget = m, budget
        self.home = World(m)
        self.program = UserCode(m.subject.users)
        self.grads: Grads = {}
        self.failed: CallError | None = None
        self.applied: list[tuple[Function, Slot, object]] = []
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

    def _sites(self) -> list[Site]:
        found = []
        for function in self.program.functions:
            found += [s for s in sites_of(function)]
        for order, site in enumerate(found):
            site.order = order
        return found

    @contextlib.contextmanager
    def _hooked(self, site: Site, hook: Callable[..., object]) -> Iterator[None]:
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

        def nudge(value: object, _: object) -> object:
            array = copied(value) if is_array(value) else value
            moved = nudged(array)
            touched.append(moved is not array)
            return as_given(moved, value)

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
        """What is computed at a site, how the gradients move with it, and whether any value there
        could make them right."""
        site.looked, site.aim, site.moves, site.hopeless = wanted, wanted, None, False
        site.others, site.in_reach, site.first = [], None, None
        site.sure = site.settled = False
        back, site.seen = self._record(site)
        values = [value for value, _ in site.seen]
        if not values or not all(is_number(v) for v in values):
            return
        sizes = [np.size(v) for v in values]
        total = sum(sizes)
        if not 0 < total <= ELEMENTS or any(self.grads[i].shape != self.m.subject.shape(i)
                                            for i in wanted):
            return
        base = self._row(self.grads, wanted)
        last = np.random.default_rng(5).standard_normal(total)
        try:
            columns = [self._row(self._moved(site, step, sizes, back), wanted) - base
                       for step in [*np.eye(total), last]]
        except (CallError, ValueError):
            return
        moves = np.array(columns[:-1]).T
        off = norm(moves @ last - columns[-1])
        if not np.all(np.isfinite(moves)) or off > 1e-7 * norm(columns[-1]):
            return
        with contextlib.suppress(np.linalg.LinAlgError):    # LAPACK may not converge
            self._aim(site, moves, sizes, back)

    def _aim(self, site: Site, moves: Array, sizes: Sequence[int], back: bool) -> None:
        """See which gradients a site could make right, and from there what must stand in it."""
        wanted = site.aim
        aims = self._aims(moves, wanted)
        site.hopeless = not aims
        site.others = [replace(site) for _ in aims[1:]]
        for view, (aim, needed) in zip([site, *site.others], aims):
            view.aim, rows = aim, moves[self._rows(wanted, aim)]
            if len(sizes) == 1 or self._seen_right(view, needed, sizes, back):
                view.moves = rows
                # what of the first value is known, whatever the others are
                known = np.einsum("ij,ji->i", np.linalg.pinv(rows), rows) > 1 - 1e-9
                view.first = known[:sizes[0]], needed[:sizes[0]], norm(needed)
                view.settled = len(sizes) == 1 or bool(np.all(known | ~rows.any(axis=0)))
                view.sure = aim == wanted and np.linalg.matrix_rank(rows) < len(rows)

    def _seen_right(
        self, site: Site, needed: Array, sizes: Sequence[int], back: bool
    ) -> bool:
        """See the values of a site in a loop as if those before them were right, by a step that
        makes the gradients right; is it such a step?"""
        try:
            site.seen = self._record(site, needed, sizes)[1]
            left = self.home.error(0, self._moved(site, needed, sizes, back), site.aim)
        except CallError:
            return False
        return len(site.seen) == len(sizes) and norm(left) <= 1e-6 * norm(
            self.home.error(0, self.grads, site.aim))

    def _record(
        self, site: Site, step: Array | None = None, sizes: Sequence[int] = ()
    ) -> tuple[bool, Seen]:
        """Whether a site is one of backward, and its values, each with the names in reach; perhaps
        with a step added to the values, all in a row."""
        seen: dict[bool, Seen] = {False: [], True: []}

        def look(value: object, names: object) -> object:
            own = seen[self.home.going_back]
            own.append((copied(value), copied(names)))
            return value if step is None else _stepped(value, step, sizes, len(own) - 1)

        with contextlib.suppress(CallError), self._hooked(site, look):
            self._run(self.home)
        back = bool(seen[True])  # a function that gives both is called twice
        return back, seen[back]

    def _moved(self, site: Site, step: Array, sizes: Sequence[int], back: bool) -> Grads:
        """The gradients with a step added to the values of a site, all in a row."""
        at = [0]

        def move(value: Any, _: object) -> object:
            if self.home.going_back is not back:
                return value
            at[0] += 1
            return _stepped(value, step, sizes, at[0] - 1)

        with self._hooked(site, move):
            return self._run(self.home)

    def _aims(self, moves: Array, wanted: list[int]) -> list[tuple[list[int], Array]]:
        """The largest sets of inputs whose gradients one step of a site's values makes right, and
        that step: all of `wanted` where the only fault stands there, fewer where there are more.
        """
        found: list[tuple[list[int], Array]] = []
        for count in range(len(wanted), 0, -1):
            for aim in itertools.combinations(wanted, count) if len(found) < AIMS else ():
                if any({*aim} <= {*larger} for larger, _ in found):
                    continue
                rows, error = self._rows(wanted, [*aim]), self.home.error(0, self.grads, [*aim])
                if not np.isfinite(error).all():
                    return [(wanted, np.zeros(moves.shape[1]))]
                step = np.asarray(np.linalg.lstsq(moves[rows], error, rcond=1e-12)[0])
                if norm(moves[rows] @ step - error) <= 1e-6 * norm(error):
                    found.append(([*aim], step))
            if len(wanted) > MANY and count == len(wanted):
                return found
        return found

    def _rows(self, wanted: list[int], aim: list[int]) -> Array:
        """Which of the gradients' elements, all in a row, are those of some inputs."""
        return np.concatenate([np.full(self.grads[i].size, i in aim) for i in wanted])

    def _row(self, grads: Grads, wanted: list[int]) -> Array:
        return np.concatenate([grads[i].reshape(-1) for i in wanted])

    def _suspects(self, wrong: set[int]) -> tuple[list[list[Site]], list[list[Site]]]:
        """The sites where the fault may stand, the most suspect first, in classes: those where
        exactly the wrong gradients move, and the others."""
        sites = self.sites = self._sites()
        if self.failed is not None:
            found = failure(self.failed.error)
            line = found[1].lineno if found else 0
            parts = ast.walk(found[1]) if found else ()
            names = {n.id for n in parts if isinstance(n, ast.Name)}
            first = [s for s in sites if found and s.statement.lineno <= line <= (
                s.statement.end_lineno or 0)]
            second = [s for s in sites if s not in first and names & assigned(s.statement)]
            return [first, second], [[s for s in sites if s not in first + second]]
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
        classes = [*self._by_names(behind, sites), *self._by_names(before, sites)]
        return [c for c in classes if c], [c for c in (part, over, blind) if c]

    def _by_names(self, sites: list[Site], every: list[Site]) -> list[list[Site]]:
        """First what assigns a wrong `dh` from right ones; then the rest, those last that assign a
        right `dh`."""
        verdicts = self._verdicts(every) if len(sites) > 1 else {}
        # a place beside a statement, or what comes in, says nothing of where it goes wrong
        own = [set() if s.parameter else {
            verdicts[n] for n in assigned(s.statement) if n in verdicts} for s in sites]
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
                 if isinstance(s.statement, ast.Assign) and not s.parameter
                 # `xhat = cache[0]` is not where it is computed
                 and not isinstance(s.slot.get(), (ast.Name, ast.Attribute, ast.Subscript))]
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
            calls: list[int] = []

            def move(value: Any, _: object, t: float = t, calls: list[int] = calls) -> object:
                calls.append(1)
                return value + t * direction if np.shape(value) == shape else value

            try:
                with self._hooked(site, move):
                    self.budget.left -= 1
                    totals.append(float(np.sum(m.douts[0] * m.subject.run()[0])))
            except (CallError, ContractError):
                return None
            if len(calls) != 1:
                return None
        return direction, (totals[0] - totals[1]) / 2e-4


def _stepped(value: Any, step: Array, sizes: Sequence[int], n: int) -> object:
    """The nth value of a site with its part of a step added."""
    if n >= len(sizes):
        return value
    part = step[sum(sizes[:n]):sum(sizes[:n + 1])]
    return as_given(np.asarray(copied(value)) + part.reshape(np.shape(value)), value)
