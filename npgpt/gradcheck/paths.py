"""Which path of the chain rule is missing? Detach each step of forward in turn and look.

Forward is a graph: x reaches out through `mean`, through `var`, directly. Rewritten so that one
step hands on its value but not its derivative (`var = detach(...)`), forward has the gradient
without that path; the difference is the path's own part. If backward's error is c times this part,
backward gives the path the weight 1 + c: 0 if it was forgotten, -1 if its sign is wrong, 2 if it
was added twice.

Needs forward's source and a complex step, whose imaginary part is the derivative that is cut off.
"""

from __future__ import annotations

import ast
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from .measure import Measurement
from .numeric import COMPLEX_STEP, Array, complex_step, signs
from .source import Source, read, slots
from .subject import Subject
from .view import DIGITS, Explanation

DIRECTIONS = 4


@dataclass(frozen=True)
class Site:
    """One step of forward: its number, text and line, and whether it is an assignment."""

    number: int
    text: str
    line: int
    assigned: bool


class Graph:
    """forward, rewritten so that any one of its `sites` can be detached."""

    def __init__(self, source: Source) -> None:
        self.sites: list[Site] = []
        self.active = -1
        tree = source.functions[source.name]
        for slot in list(slots(tree)):
            node = slot.get()
            if isinstance(node, ast.Assign):
                targets = node.targets[0]
                if isinstance(targets, ast.Name):
                    node.value = self._wrap(node.value, targets.id, source, node, True)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                if slot.field == "func" or isinstance(slot.parent, ast.Return):
                    continue
                text = f"{node.id} in {ast.unparse(slot.parent)}"
                slot.put(self._wrap(node, text, source, node, False))
        self.forward = source.build(_site=self._site)

    def _wrap(self, node: Any, text: str, source: Source, place: ast.AST, assigned: bool) -> Any:
        number = len(self.sites)
        self.sites.append(Site(number, text, source.line(source.name, place), assigned))
        return ast.Call(ast.Name("_site", ast.Load()), [ast.Constant(number), node], [])

    def _site(self, number: int, value: Any) -> Any:
        if number == self.active and isinstance(value, np.ndarray) and np.iscomplexobj(value):
            return value.real.astype(value.dtype)
        return value


def missing_path(m: Measurement, wrong: list[int], assigned: bool) -> Explanation | None:
    """The one step whose path has the wrong weight in all `wrong` inputs, or None.

    `assigned`: look only at steps that forward gives a name; else only at single uses of a name.
    """
    errors, parts = _parts(m, wrong, assigned)
    for site, part in parts:
        c = float(errors @ part) / float(part @ part)
        if _explained(errors, c * part):
            return _told(m, wrong, site, 1 + c)
    return None


def two_missing_paths(m: Measurement, wrong: list[int]) -> list[Explanation]:
    """Two named steps that are both forgotten or have the wrong sign, or nothing."""
    errors, parts = _parts(m, wrong, True)
    for (one, first), (two, second) in itertools.combinations(parts, 2):
        weights, *_ = np.linalg.lstsq(np.array([first, second]).T, errors, rcond=None)
        plain = all(min(abs(c + 1), abs(c + 2)) < 1e-6 for c in weights)
        if plain and _explained(errors, weights[0] * first + weights[1] * second):
            return [_told(m, wrong, s, 1 + float(c)) for s, c in zip((one, two), weights)]
    return []


def _explained(errors: Array, predicted: Array) -> bool:
    rest = float(np.linalg.norm(errors - predicted))
    return rest <= 100 * DIGITS * float(np.linalg.norm(errors))


def _parts(
    m: Measurement, wrong: list[int], assigned: bool
) -> tuple[Array, list[tuple[Site, Array]]]:
    """backward's error along random directions, and each step's part of the true gradient there."""
    nothing: tuple[Array, list[tuple[Site, Array]]] = (np.zeros(0), [])
    if not m.subject.readable or any(m.method[i].name != COMPLEX_STEP for i in wrong):
        return nothing
    source = read(m.subject.forward, helpers=False)
    if source is None:
        return nothing
    rng = np.random.default_rng(0)
    directions = {i: [signs(m.subject.shape(i), rng) for _ in range(DIRECTIONS)] for i in wrong}
    errors = np.concatenate(
        [(m.analytic[i] - m.numeric[i]) @ v.reshape(-1) for i in wrong for v in directions[i]]
    )
    try:
        graph = Graph(source)
        subject = m.subject.with_inputs(m.subject.inputs)
        subject.forward = graph.forward
        whole = _slopes(m, subject, directions)
        parts = []
        for site in graph.sites:
            if site.assigned == assigned:
                graph.active = site.number
                part = whole - _slopes(m, subject, directions)
                # where everything goes this way it is a factor of the whole, which has better names
                if np.linalg.norm(part) > 1e-12 * np.linalg.norm(whole) and not np.allclose(
                    part, whole, rtol=1e-9
                ):
                    parts.append((site, part))
    except Exception:  # a forward that cannot be rewritten has no path to name
        return nothing
    return errors, parts


def _slopes(m: Measurement, subject: Subject, directions: dict[int, list[Array]]) -> Array:
    """For each input, direction and dout, the derivative of sum(dout * out), all in one row."""
    flat = m.douts.reshape(len(m.douts), -1)
    return np.concatenate(
        [
            flat @ complex_step(subject.out_as_function_of(i), subject.array(i), v).reshape(-1)
            for i, those in directions.items()
            for v in those
        ]
    )


def _told(m: Measurement, wrong: list[int], site: Site, weight: float) -> Explanation:
    names = " and ".join(m.subject.names[i] for i in wrong)
    path = f"the path of {names} through `{site.text}` (line {site.line} of forward)"
    found = round(weight, 9) + 0.0
    evidence = f"least squares gives this path the weight {found:.6g} in backward, where 1 belongs"
    if abs(weight) < 1e-6:
        return Explanation("missing-term", f"A term is missing in backward: {path}.", evidence)
    if abs(weight + 1) < 1e-6:
        return Explanation("term-sign", f"One term has the wrong sign: {path}.", evidence)
    if abs(weight - 2) < 1e-6:
        return Explanation("accumulated-twice", f"One term is added twice: {path}.", evidence)
    return Explanation("term-factor", f"One term has a wrong factor: {path}.", evidence)
