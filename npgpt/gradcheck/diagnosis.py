"""From wrong numbers to named faults: who is asked, and in which order.

1. the numbers alone (explain): one input's gradient against everything a known fault would give;
2. the steps of forward (paths): which named path has a wrong weight, for all wrong inputs at once;
3. the source of backward (repair): which single change makes everything right;
4. the single uses of a name in forward, then two forgotten steps at once (paths again);
5. nobody: the first wrong element, the largest wrong block and a picture.
"""

from __future__ import annotations

import numpy as np

from .explain import explain, explain_shape
from .measure import Measurement
from .paths import missing_path, two_missing_paths
from .picture import largest_block, neighbourhood, picture
from .repair import mend
from .report import Finding
from .view import Explanation


def diagnose(m: Measurement, misshapen: list[int]) -> list[Finding]:
    """Findings for every wrong input, and for those whose gradient is `misshapen`."""
    try:
        return _diagnose(m, misshapen)
    except Exception:  # a pair that cannot be looked into is still wrong, and is told so
        return [_unnamed(m, i) for i in m.wrong + misshapen]


def _diagnose(m: Measurement, misshapen: list[int]) -> list[Finding]:
    wrong = m.wrong
    named: dict[int, list[Explanation]] = {i: _second_opinion(m, explain(m, i)) for i in wrong}
    for i in misshapen:
        found = explain_shape(m, i) if i in m.numeric else None
        named[i] = [found] if found else []
    left = [i for i in wrong + misshapen if not named[i]]
    if left:
        causes = _common_causes(m, wrong, misshapen)
        if causes:
            return [_finding(m, (wrong + misshapen)[0], c, wrong + misshapen) for c in causes]
        if len(wrong + misshapen) > 1:
            for i in left:
                found = _own_cause(m, i, misshapen)
                named[i] = [found] if found else []
    return [
        finding
        for i in wrong + misshapen
        for finding in [_finding(m, i, one, [i]) for one in named[i]] or [_unnamed(m, i)]
    ]


def _second_opinion(m: Measurement, found: list[Explanation]) -> list[Explanation]:
    """`dweight = dout.sum()` is the bias's gradient, or lacks a factor: the source can tell."""
    if len(found) == 1 and found[0].kind == "another-input" and "not of" in found[0].message:
        cause = mend(m)
        if cause and cause.kind in ("missing-factor", "missing-term"):
            return [cause]
    return found


def _common_causes(m: Measurement, wrong: list[int], misshapen: list[int]) -> list[Explanation]:
    """One fault behind all wrong gradients, or two forgotten paths, or nothing."""
    if any(i not in m.numeric for i in misshapen):
        return []  # too large for numbers: its shape is all that is known
    path = None if misshapen else missing_path(m, wrong, True)
    if path and path.kind in ("missing-term", "term-sign"):
        return [path]
    one = mend(m) or path or (None if misshapen else missing_path(m, wrong, False))
    if one:
        return [one]
    return [] if misshapen else two_missing_paths(m, wrong)


def _own_cause(m: Measurement, i: int, misshapen: list[int]) -> Explanation | None:
    if i not in m.numeric:
        return None
    path = None if i in misshapen else missing_path(m, [i], True)
    return path or mend(m, [i], 0.4) or (None if i in misshapen else missing_path(m, [i], False))


def _finding(m: Measurement, i: int, cause: Explanation, inputs: list[int]) -> Finding:
    names = ", ".join(m.subject.names[j] for j in inputs)
    return Finding(cause.kind, names, cause.message, *_worst(m, i), evidence=cause.evidence)


def _worst(
    m: Measurement, i: int
) -> tuple[tuple[int, ...] | None, float | None, float | None, float | None]:
    """(index, analytic, numeric, error bar) of the worst element, or four times None."""
    if i not in m.analytic or not m.analytic[i].size:
        return None, None, None, None
    gap = np.abs(m.analytic[i] - m.numeric[i])
    gap[~np.isfinite(gap)] = np.inf
    k, n = np.unravel_index(int(np.argmax(gap)), gap.shape)
    index = tuple(int(j) for j in np.unravel_index(int(n), m.subject.shape(i)))
    bar = float(np.abs(m.douts[k]).reshape(-1) @ m.bars[i][n])
    return index, float(m.analytic[i][k, n]), float(m.numeric[i][k, n]), bar


def _unnamed(m: Measurement, i: int) -> Finding:
    name, shape = m.subject.names[i], m.subject.shape(i)
    if i not in m.verdict:
        given = np.shape(m.returned[0][i])
        return Finding(
            "wrong-shape",
            name,
            f"{name} has shape {shape}, its gradient has shape {given}; they must be equal.",
        )
    wrong = np.asarray(m.verdict[i].wrong.any(axis=0)).reshape(shape)
    count = f"{int(wrong.sum())} of {wrong.size} elements are wrong"
    if wrong.ndim == 0 or not wrong.any():
        return Finding(
            "unexplained",
            name,
            f"The gradient of {name} is wrong and no known fault explains it: {count}.",
            *_worst(m, i),
        )
    first = tuple(int(n) for n in np.argwhere(wrong)[0])
    near = neighbourhood(m.analytic[i][0].reshape(shape), m.numeric[i][0].reshape(shape), first)
    return Finding(
        "unexplained",
        name,
        f"The gradient of {name} is wrong and no known fault explains it: {count}, the first is "
        f"{list(first)}, the largest block of them is {largest_block(wrong)}. In the picture the "
        "last axis runs to the right and # is wrong.",
        *_worst(m, i),
        picture=picture(wrong) + "\n\n" + near,
    )
