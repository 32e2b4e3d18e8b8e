"""Which path of the chain rule is missing? Detach each step of forward in turn and found.

Forward is a graph: x reaches out through `mean`, through `var`, directly. Rewritten so that one
step keeps the value that it had at the inputs of the check, forward has the gradient without that
path; the difference is the path's own part. If backward's error is c times this part, backward
gives the path the weight 1 + c: 0 if it was forgotten, -1 if its sign is wrong, 2 if it was added
twice.

A step may have no part at all, such as the maximum that a softmax subtracts. Whoever derives by
hand takes it as constant, so where such steps are found all others are tried with them held.

Needs forward's source; the derivatives are taken as the check took them.
"""

from __future__ import annotations

import ast
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import Array
from ...gradcheck.numeric import NotComplex, norm, signs
from ..evidence.fault import ALIKE, PATH, Fault, adds
from ..evidence.measure import Measurement
from ..evidence.numeric import unit_directions
from ..evidence.subject import CallError
from ..reading.source import Slot, Source, shortened, slots
from ..reading.traced_source import program
from .multiple import kind_of, origin, times

ALONG = 4  # directions for each input
CALLS = 8000  # of forward, for one search through all steps; more than any layer of npgpt needs


@dataclass(frozen=True)
class Site:
    """One step of forward: its number, text and line, and whether it is an assignment."""

    number: int
    text: str
    line: int
    assigned: bool


Part = tuple[Site, Array]
Along = dict[int, list[Array]]  # directions for some inputs
Cause = tuple[Fault, list[int]]  # a fault and the inputs whose gradients it reaches


class Graph:
    """forward, rewritten so that any of its `sites` can be `held` at the values of a first run."""

    def __init__(self, source: Source) -> None:
        self.sites: list[Site] = []
        self.runs = 0
        self.held: set[int] = set()
        self.recorded: dict[int, list[Array]] = {}
        self._recording: dict[int, list[Array]] | None = None
        self._calls: Counter[int] = Counter()
        places = [(slot, *_described(slot)) for slot in _steps(source.functions[source.name])]
        for number, (slot, text, assigned) in enumerate(places):
            node = slot.get()
            self.sites.append(Site(number, text, source.line(source.name, node), assigned))
            slot.put(ast.Call(ast.Name("_site", ast.Load()), [ast.Constant(number), node], []))
        self._forward = source.build(_site=self._site)

    def forward(self, *inputs: object, **settings: object) -> object:
        """The user's forward, with the `held` steps held."""
        self._calls.clear()
        self.runs += 1
        return self._forward(*inputs, **settings)

    def record(self, run: Callable[[], object]) -> dict[int, list[Array]]:
        """The values of every step of this one run, by its number."""
        found: dict[int, list[Array]] = {}
        self._recording = found
        try:
            run()
        finally:
            self._recording = None
        return found

    def _site(self, number: int, value: object) -> object:
        if not isinstance(value, (np.ndarray, np.floating, np.complexfloating)):
            return value
        call = self._calls[number]
        self._calls[number] += 1
        if self._recording is not None:
            self._recording.setdefault(number, []).append(np.array(value))
        elif number in self.held and call < len(self.recorded.get(number, ())):
            held = self.recorded[number][call]
            if held.shape == np.shape(value) and value.dtype.kind in "fc":
                return held.astype(value.dtype)
        return value


def _steps(tree: ast.FunctionDef) -> Iterator[Slot]:
    """The places of forward whose value is a step on the way to out, outer ones first."""
    own = {a.arg for a in ast.walk(tree.args) if isinstance(a, ast.arg)} | {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for statement in tree.body if isinstance(tree.body, list) else [tree]:
        for slot in slots(ast.Module([statement], [])):
            node = slot.get()
            if slot.field in ("func", "slice", "targets", "target", "iter"):
                continue
            if isinstance(node, ast.Name):
                if isinstance(node.ctx, ast.Load) and node.id in own:
                    yield slot
            elif isinstance(node, (ast.BinOp, ast.Call, ast.UnaryOp, ast.Subscript)):
                if not isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
                    yield slot


def _described(slot: Slot) -> tuple[str, bool]:
    """How a step is called in a message, and whether forward gives it a name."""
    node, parent = slot.get(), slot.parent
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
        return f"`{parent.targets[0].id}`", True
    text = f"`{shortened(node)}`"
    inside = isinstance(parent, ast.expr) and not isinstance(parent, ast.Tuple)
    return (f"{text} in `{shortened(parent)}`" if inside else text), False


@dataclass(frozen=True)
class _Parts:
    """Of some inputs, along some directions: the error, the true slopes, each path's part of them.

    All are rows of values in one order: inputs, directions, douts.
    """

    errors: Array
    whole: Array
    of_steps: list[Part]


class Paths:
    """The paths of forward, searched when they are first asked for; none if it has no source."""

    def __init__(self, m: Measurement) -> None:
        self.m = m
        self._found: dict[tuple[int, ...], _Parts] = {}
        self._graph: Graph | None = None
        self._name = "forward"
        try:
            source = program(m.subject, "forward")
            if source is not None:
                self._graph = graph = Graph(source)
                self._name = source.name
                self._subject = m.subject.with_inputs(m.subject.inputs)
                self._subject.forward = graph.forward
                graph.recorded = graph.record(self._subject.run)
        except CallError:  # a forward that cannot be rewritten has no path to name
            self._graph = None

    def one(self, wrong: list[int], assigned: bool) -> Fault | None:
        """The one step whose path has the wrong weight in all `wrong` inputs, or None.

        `assigned`: only the steps that forward gives a name; else only the unnamed ones.
        """
        parts = self._parts_of(wrong)
        for site, part in parts.of_steps:
            c = float(parts.errors @ part) / float(part @ part)
            if site.assigned == assigned and _explained(parts.errors, c * part):
                return self._describe(wrong, site, 1 + c)
        return None

    def several(self, wrong: list[int]) -> list[Cause]:
        """Two paths that are forgotten or miscounted, or one or two of them and a factor on all."""
        parts = self._parts_of(wrong)
        shapes = [self.m.subject.shape(i) for i in wrong]
        seen = min(self.m.out.size, len(self.m.douts)) * sum(
            min(int(np.prod(shape)), ALONG) for shape in shapes)
        if seen < 6 or not np.all(np.isfinite(parts.errors)):
            return []  # so few values are met by chance
        for count, scaled, counted in (
            (2, False, False), (1, True, False), (2, True, False), (2, False, True),
        ):
            for chosen in itertools.combinations(parts.of_steps[:20], count):
                columns = np.array([part for _, part in chosen] + [parts.whole] * scaled).T
                goal = parts.errors + parts.whole * scaled
                weights, *_ = np.linalg.lstsq(columns, goal, rcond=None)
                factor = float(weights[-1]) if scaled else 1.0
                off = weights[:count] / factor
                plain = all(min(abs(c + 1), abs(c + 2), abs(c - 1)) < PATH for c in off)
                if counted:  # such as a sum for a mean
                    plain = all(_is_count(1 + float(c)) for c in off)
                if plain and (not scaled or abs(factor - 1) > PATH):
                    if _explained(parts.errors, columns @ weights - parts.whole * scaled):
                        causes = []
                        for (site, part), c in zip(chosen, off, strict=True):
                            inputs = _reached(wrong, part)
                            causes.append((self._describe(inputs, site, 1 + float(c)), inputs))
                        return causes + [(self._scaled(wrong, factor), wrong)] * scaled
        return []

    def predictions(self, i: int) -> list[Fault]:
        """What backward would return for input i with one path forgotten, doubled or reversed."""
        numeric = self.m.numeric[i]
        result = []
        parts = self._search({i: list(unit_directions(self.m.subject.shape(i)))})
        for site, part in parts.of_steps:
            part = part.reshape(-1, len(numeric)).T
            for weight in (0.0, -1.0, 2.0):
                fault = self._describe([i], site, weight)
                result.append(replace(fault, predict=adds((weight - 1) * part)))
        return result

    def _parts_of(self, wrong: list[int]) -> _Parts:
        key = tuple(wrong)
        if key not in self._found:
            rng = np.random.default_rng(0)
            shapes = {i: self.m.subject.shape(i) for i in wrong}
            self._found[key] = self._search(
                {i: [signs(shape, rng) for _ in range(ALONG)] for i, shape in shapes.items()})
        return self._found[key]

    def _search(self, along: Along) -> _Parts:
        m, graph = self.m, self._graph
        if graph is None:
            return _Parts(np.zeros(0), np.zeros(0), [])
        errors = np.concatenate([
            (m.analytic[i] - m.numeric[i]) @ v.reshape(-1) for i, directions in along.items()
            for v in directions
        ])
        parts: list[Part] = []
        whole = np.zeros_like(errors)
        try:
            whole = self._slopes(graph, along, set())
            silent = self._find(graph, along, whole, set(), parts) & self._moving(graph, along)
            if silent and norm(self._slopes(graph, along, silent) - whole) <= ALIKE * norm(whole):
                self._find(graph, along, whole, silent, parts)
        except (CallError, NotComplex):  # a step that cannot be held
            pass
        return _Parts(errors, whole, parts)

    def _find(
        self, graph: Graph, along: Along, whole: Array, held: set[int], parts: list[Part]
    ) -> set[int]:
        """Add the part of each step to `parts`, and give the steps that have none."""
        silent = set()
        last = graph.runs + CALLS
        size = norm(whole)
        for site in sorted(graph.sites, key=lambda site: not site.assigned):
            if site.number in held or site.number not in graph.recorded:
                continue
            if graph.runs > last:
                break
            part = whole - self._slopes(graph, along, held | {site.number})
            if norm(part) <= ALIKE * size:
                silent.add(site.number)
            # where everything goes this way it is a factor of the whole, which has better names
            elif norm(part - whole) > ALIKE * size and not any(
                norm(part - other) <= ALIKE * norm(part) for _, other in parts
            ):
                parts.append((site, part))
        return silent

    def _moving(self, graph: Graph, along: Along) -> set[int]:
        """The steps whose value depends on one of the inputs."""
        moved = list(self.m.subject.inputs)
        for i, directions in along.items():
            moved[i] = self.m.subject.array(i) + 1e-3 * sum(directions)
        there = graph.record(lambda: self._subject.run(tuple(moved)))
        return {
            number for number, values in graph.recorded.items()
            if not all(map(np.array_equal, values, there.get(number, [])))
        }

    def _slopes(self, graph: Graph, along: Along, held: set[int]) -> Array:
        """For each input, direction and dout, the derivative of sum(dout * out), all in a row."""
        m, graph.held = self.m, held
        flat = m.douts.reshape(len(m.douts), -1)
        rows = []
        for i, directions in along.items():
            function, method = self._subject.out_as_function_of(i), m.method[i]
            x = m.subject.array(i)
            for v in directions:
                rows.append(flat @ method.along(function, x, v)[0].reshape(-1))
        return np.concatenate(rows)

    def _describe(self, wrong: list[int], site: Site, weight: float) -> Fault:
        names = " and ".join(self.m.subject.names[i] for i in wrong)
        op = self._name
        path = f"the path of {names} through {site.text} (line {site.line} of {op})"
        found = round(weight, 9) + 0.0
        evidence = f"this path has the weight {found:.6g} in backward, where 1 belongs"
        for value, kind, words in (
            (0, "missing-term", "A term is missing in backward, or detached"),
            (-1, "term-sign", "One term has the wrong sign"),
            (2, "accumulated-twice", "One term is added twice"),
        ):
            if abs(weight - value) < PATH:
                return Fault(kind, f"{words}: {path}.", evidence)
        counted = f"{path} counts {found:.6g} times{origin(weight, self.m.subject)}"
        return Fault("term-factor", f"One term has a wrong factor: {counted}.", evidence)

    def _scaled(self, wrong: list[int], factor: float) -> Fault:
        names = " and ".join(self.m.subject.names[i] for i in wrong)
        return Fault(
            kind_of(factor),
            f"The whole gradient of {names} {times(factor)}{origin(factor, self.m.subject)}.",
            f"least squares gives the whole the weight {factor:.9g}")


def _reached(wrong: list[int], part: Array) -> list[int]:
    """The inputs whose gradients a path has a part in."""
    sizes = [norm(row) for row in part.reshape(len(wrong), -1)]
    return [i for i, size in zip(wrong, sizes, strict=True) if size > ALIKE * max(sizes)]


def _explained(errors: Array, predicted: Array) -> bool:
    return norm(errors - predicted) <= PATH * norm(errors)


def _is_count(weight: float) -> bool:
    """0, an integer or one over an integer, up to the sign."""
    if abs(weight) < PATH:
        return True
    return any(abs(w) < 1e5 and abs(w - round(w)) < PATH * abs(w) for w in (weight, 1 / weight))
