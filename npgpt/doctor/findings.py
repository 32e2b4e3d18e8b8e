"""From a fault to the finding of a report; and what is shown where no fault is known: the lines of
backward that only wrong gradients need, and a picture.
"""

from __future__ import annotations

import ast
import math

import numpy as np

from ..arrays import Array
from .evidence.fault import Fault
from .evidence.measure import Measurement, evidence
from .evidence.picture import largest_block, neighbourhood, picture
from .evidence.report import Finding
from .evidence.subject import Subject
from .faults.value_faults import differing
from .reading.source import read
from .reading.traced_source import program


def finding(
    m: Measurement, inputs: list[int], cause: Fault, truth: Array | None = None
) -> Finding:
    """The finding of a fault, with the worst element of the first gradient that has it."""
    names = ", ".join(m.subject.names[j] for j in inputs)
    return Finding(cause.kind, names, cause.sentence, *_worst(m, inputs[0], truth),
                   evidence=cause.evidence, nonlinear=cause.nonlinear)


def _worst(
    m: Measurement, i: int, truth: Array | None = None
) -> tuple[tuple[int, ...] | None, float | None, float | None, float | None]:
    """(index, analytic, numeric, error bar) of the worst wrong element, or four times None.

    `truth` (K, N) takes the place of the true one where part of the error has a name already.
    """
    if i not in m.verdict or not m.analytic[i].size:
        return None, None, None, None
    gap = np.abs(m.analytic[i] - (m.numeric[i] if truth is None else truth))
    gap = np.where(np.isfinite(gap), gap, np.inf)
    wrong = m.verdict[i].wrong
    if truth is None and wrong.any():
        gap = np.where(wrong, gap, -1.0)
    gap = gap[:1] if m.out.size == 1 else gap  # where dout is 1
    k, n = np.unravel_index(int(np.argmax(gap)), gap.shape)
    index = tuple(int(j) for j in np.unravel_index(int(n), m.subject.shape(i)))
    error = float(np.abs(m.douts[k]).reshape(-1) @ m.errors[i][n])
    return index, float(m.analytic[i][k, n]), float(m.numeric[i][k, n]), error


def unnamed(
    m: Measurement, i: int, predicted: Array | None = None, note: str = "", where: str = ""
) -> Finding:
    """What is wrong where nothing explains it, or what is left when `predicted` is explained."""
    name, shape = m.subject.names[i], m.subject.shape(i)
    if i not in m.verdict:
        given = np.shape(m.returned[0][i])
        return Finding(
            "wrong-shape",
            name,
            f"{name} has shape {shape}, its gradient has shape {given}; they must be equal.",
        )
    v = evidence(m, i, predicted)
    wrong = differing(v, v.truth) if predicted is not None else m.verdict[i].wrong.any(axis=0)
    wrong = np.asarray(wrong).reshape(shape)
    message = f"What is left of the error of {name} has no known name: "
    if predicted is None:
        message = f"The gradient of {name} is wrong and no known fault explains it: "
        error = m.verdict[i].error
        note += f" It is right to {-math.log10(error):.0f} digits." if 0 < error < 3e-3 else ""
        note += (where or suspects(m, i)) + unused(m.subject)
    message += f"{int(wrong.sum())} of {wrong.size} elements are wrong"
    if wrong.all() or not wrong.any():
        return Finding("unexplained", name, f"{message}.{note}", *_worst(m, i, predicted))
    first = tuple(int(n) for n in np.argwhere(wrong)[0])
    near_it = neighbourhood(m.analytic[i][0].reshape(shape), v.truth[0].reshape(shape), first)
    return Finding(
        "unexplained",
        name,
        f"{message}, the first is {list(first)}, the largest block of them is "
        f"{largest_block(wrong)}. In the picture the last axis runs to the right and # is wrong."
        + note,
        *_worst(m, i, predicted),
        picture=picture(wrong) + "\n\n" + near_it,
    )


def together(m: Measurement, inputs: list[int], where: str = "") -> list[Finding]:
    """What is wrong where nothing explains several gradients: those of which the same is known are
    one finding. `where` is a sentence on where the fault stands, if that is known."""
    groups: dict[str, list[int]] = {}
    for i in inputs:
        note = (where or suspects(m, i)) if i in m.verdict else f"shape of {i}"
        groups.setdefault(note, []).append(i)
    found = []
    for note, group in groups.items():
        if len(group) == 1:
            found.append(unnamed(m, group[0], where=where))
            continue
        names = [m.subject.names[i] for i in group]
        masks = [m.verdict[i].wrong.any(axis=0) for i in group]
        parts = ", ".join(f"{int(w.sum())} of {w.size} elements of {name}"
                          for name, w in zip(names, masks))
        found.append(Finding(
            "unexplained", ", ".join(names),
            f"The gradients of {', '.join(names[:-1])} and {names[-1]} are wrong and no known fault"
            f" explains them: {parts} are wrong.{note}{unused(m.subject)}", *_worst(m, group[0])))
    return found


def suspects(m: Measurement, position: int) -> str:
    """A sentence on the lines that the wrong gradient needs and no right one does, or ''."""
    source = program(m.subject, "backward")
    if source is None:
        return ""
    tree = source.functions[source.name]
    needs = _needs(tree)
    if position >= len(needs):
        return ""
    right = {i for i in m.verdict if i not in m.wrong and i < len(needs)}
    # line 0 is no line of the user's, and what is returned for this gradient is this one's alone
    lines = needs[position] - {line for i in right for line in needs[i]} - {0}
    returned = tree.body[-1].value
    own = returned.elts[position] if isinstance(returned, ast.Tuple) else returned
    lines |= set() if isinstance(own, ast.Name) else {own.lineno} - {0}
    if not lines:
        return ""
    first, last = (source.lines[source.name] + line - 1 for line in (min(lines), max(lines)))
    where = f"line {first}" if first == last else f"lines {first} to {last}"
    names = ", ".join(m.subject.names[i] for i in sorted(right))
    beside = f" (the gradient of {names} is right, and needs none of them)" if right else ""
    return f" The fault lies in {where} of {source.name}{beside}."


def unused(subject: Subject) -> str:
    """A sentence on what the user's functions compute or unpack and never use, or ''."""
    found = []
    for source in filter(None, map(read, subject.users)):
        node = source.functions[source.name]
        written = {id(part.value) for part in ast.walk(node) if isinstance(part, ast.Subscript)
                   and isinstance(part.ctx, ast.Store)}
        # to write into a part of an array is not to use it
        used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)
                and isinstance(n.ctx, ast.Load) and id(n) not in written}
        found += [f"`{n.id}` (line {n.lineno} of {source.name})" for part in ast.walk(node)
                  if isinstance(part, ast.Assign) for t in part.targets
                  # of a cache that is taken apart; of a shape, not all is always wanted
                  for n in (t.elts if isinstance(t, ast.Tuple) and isinstance(
                      part.value, ast.Name) else [t])
                  if isinstance(n, ast.Name) and n.id not in used | {"_"}]
    names = list(dict.fromkeys(found))[:3]
    verb = "are" if len(names) > 1 else "is"
    return f" {', '.join(names)} {verb} never used." if names else ""


def _needs(tree: ast.FunctionDef) -> list[set[int]]:
    """For each gradient that a straight function returns, the lines of what it is computed from."""
    if not isinstance(tree.body, list) or not isinstance(tree.body[-1], ast.Return):
        return []
    value = tree.body[-1].value
    returned = value.elts if isinstance(value, ast.Tuple) else [value] if value else []
    result = []
    for expression in returned:
        wanted, lines = _names(expression), {expression.lineno}
        for statement in reversed(tree.body[:-1]):
            changed = {n.id for n in ast.walk(statement)
                       if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            changed |= {part.value.id for part in ast.walk(statement)
                        if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store)
                        and isinstance(part.value, ast.Name)}
            if not changed & wanted and not isinstance(statement, ast.Expr):
                continue
            if isinstance(statement, ast.Expr) and not _names(statement) & wanted:
                continue
            # what unpacks the cache is not where a gradient goes wrong
            if not isinstance(statement, ast.Assign) or any(
                    isinstance(n, (ast.BinOp, ast.Call, ast.UnaryOp))
                    for n in ast.walk(statement.value)):
                lines.add(statement.lineno)
            wanted |= _names(statement)
        result.append(lines)
    return result


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
