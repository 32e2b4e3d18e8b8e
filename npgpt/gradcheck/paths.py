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
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgpt.gradcheck.measure import Measurement
from npgpt.gradcheck.numeric import COMPLEX_STEP, Array, complex_step, signs
from npgpt.gradcheck.source import Source, read, slots
from npgpt.gradcheck.view import DIGITS, Explanation

DIRECTIONS = 4


@dataclass(frozen=True)
class Site:
    """One step of forward: number, its name or text, its line, and whether it is a named
    assignment."""

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
                if slot.field == "func" or isinstance(slot.parent, (ast.Attribute, ast.Return)):
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
    if not m.subject.readable or any(m.method[i].name != COMPLEX_STEP for i in wrong):
        return None
    source = read(m.subject.forward, helpers=False)
    if source is None:
        return None
    try:
        graph = Graph(source)
        subject = m.subject.with_inputs(m.subject.inputs)
        subject.forward = graph.forward
        return _search(m, wrong, graph, subject, assigned)
    except (
        Exception
    ):  # forward does something that cannot be rewritten: then there is no path to name
        return None


def _search(
    m: Measurement, wrong: list[int], graph: Graph, subject: Any, assigned: bool
) -> Explanation | None:
    rng = np.random.default_rng(0)
    directions = {i: [signs(subject.shape(i), rng) for _ in range(DIRECTIONS)] for i in wrong}
    flat = m.douts.reshape(len(m.douts), -1)

    def slopes(i: int) -> Array:
        function = subject.out_as_function_of(i)
        x = subject.array(i)
        return np.array([flat @ complex_step(function, x, v).reshape(-1) for v in directions[i]])

    whole = {i: slopes(i) for i in wrong}
    errors = np.concatenate(
        [
            np.array(
                [(m.analytic[i] - m.numeric[i]) @ v.reshape(-1) for v in directions[i]]
            ).reshape(-1)
            for i in wrong
        ]
    )
    for site in graph.sites:
        if site.assigned != assigned:
            continue
        graph.active = site.number
        parts = {i: whole[i] - slopes(i) for i in wrong}
        if all(np.allclose(parts[i], whole[i], rtol=1e-9) for i in wrong):
            continue  # everything goes this way: a factor of the whole, which has better names
        part = np.concatenate([parts[i].reshape(-1) for i in wrong])
        size = float(part @ part)
        if size <= 1e-24 * float(sum(np.sum(w * w) for w in whole.values())):
            continue
        c = float(errors @ part) / size
        if np.linalg.norm(errors - c * part) <= 100 * DIGITS * np.linalg.norm(errors):
            return _told(m, wrong, site, 1 + c)
    return None


def _told(m: Measurement, wrong: list[int], site: Site, weight: float) -> Explanation:
    names = " and ".join(m.subject.names[i] for i in wrong)
    path = f"the path of {names} through `{site.text}` (line {site.line} of forward)"
    evidence = f"least squares gives this path the weight {weight:.6g} in backward, where 1 belongs"
    if abs(weight) < 1e-6:
        return Explanation("missing-term", f"A term is missing in backward: {path}.", evidence)
    if abs(weight + 1) < 1e-6:
        return Explanation("term-sign", f"One term has the wrong sign: {path}.", evidence)
    if abs(weight - 2) < 1e-6:
        return Explanation("accumulated-twice", f"One term is added twice: {path}.", evidence)
    return Explanation("term-factor", f"One term has a wrong factor: {path}.", evidence)
