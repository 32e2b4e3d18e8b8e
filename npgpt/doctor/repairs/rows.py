"""The changes that a person might have to make to a backward: one table of rows.

A row is (pattern, replacement, kind). In both, E F G stand for any expression, T for what is
assigned to, I for an index, `*X` and `**K` for the rest of a call. In a replacement A and B run
over what is in reach at that place (names, attributes, entries of dictionaries, the code's own
expressions), M over masks, Y over integer labels, AXIS, AXES and KEEP over their values, and `c` is
a number that is solved for, since backward is affine in what it computes.

The rows stand in order of cost: what stands in an earlier level is tried first.
"""

from __future__ import annotations

from typing import NamedTuple

AXIS = ("-1", "0", "1", "2", "-2", "(0, 1)", "(0, 2)", "(1, 2)", "(0, 2, 3)", "None")
AXES = ("0, 2, 1, 3", "0, 2, 1", "0, 2, 3, 1", "0, 3, 1, 2", "1, 0", "1, 0, 2")
VALUES = {"AXIS": AXIS, "AXES": AXES, "KEEP": ("True", "False")}
REDUCTIONS = ("sum", "mean", "max", "argmax", "prod", "var", "std")


class Row(NamedTuple):
    """The replacement repairs a fault of this kind."""

    pattern: str
    replacement: str
    kind: str


def _rows(text: str) -> list[Row]:
    """One row a line: pattern -> replacement : kind."""
    rows = []
    for line in text.strip().splitlines():
        pattern, rest = line.split(" -> ")
        replacement, kind = rest.rsplit(" : ", 1)
        rows.append(Row(pattern.strip(), replacement.strip(), kind.strip()))
    return rows


STATEMENTS = _rows("""
    T += E -> T -= E : term-sign
    T -= E -> T += E : term-sign
    T = E -> T += E : overwritten
    T[I] = E -> np.add.at(T, I, E) : repeated-ids-overwritten
    T[I] += E -> np.add.at(T, I, E) : repeated-ids-overwritten
    T = E -> T -= E : overwritten
    T[:, I] = E -> T[np.arange(len(I)), I] = E : wrong-index
    T[:, I] -= E -> T[np.arange(len(I)), I] -= E : wrong-index
    T += E -> T = E : accumulated-twice
    T *= E -> T /= E : wrong-operator
    T /= E -> T *= E : wrong-operator
    T *= E -> pass : extra-factor
    T /= E -> pass : extra-factor
    T += E -> pass : extra-term
    T += E -> T[1:] += (E)[1:] : extra-term
    T -= E -> pass : extra-term
    E -> return E : forgotten-return
""")

STRUCTURE = _rows("""
    E + F -> E - F : term-sign
    E - F -> E + F : term-sign
    -E -> E : wrong-sign
    E - F -> F - E : wrong-sign
    E // F -> E / F : wrong-operator
    E / F -> E * F : wrong-operator
    E * F -> E / F : wrong-operator
    E * F -> E @ F : wrong-operator
    np.where(E, F, G) -> np.where(E, G, F) : mask-inverted
    E > F -> E < F : mask-inverted
    E < F -> E > F : mask-inverted
    E >= F -> E <= F : mask-inverted
    E <= F -> E >= F : mask-inverted
    E == F -> E != F : mask-inverted
    E != F -> E == F : mask-inverted
    E > F -> E <= F : mask-inverted
    E < F -> E >= F : mask-inverted
    E >= F -> E < F : mask-inverted
    E <= F -> E > F : mask-inverted
    E > F -> E >= F : wrong-operator
    E < F -> E <= F : wrong-operator
    E >= F -> E > F : wrong-operator
    E <= F -> E < F : wrong-operator
    E.T -> E : transposed
    E @ F -> E.T @ F : transposed
    E @ F -> E @ F.T : transposed
    E @ F -> E.T @ F.T : transposed
    E @ F -> F.T @ E : transposed
    E @ F -> F @ E : transposed
    E @ F -> (E + E.T) @ F : missing-term
    F * E @ G -> (E + E.T) @ G : missing-term
    E @ F -> E.swapaxes(-1, -2) @ F : transposed
    E @ F -> E @ F.swapaxes(-1, -2) : transposed
    np.dot(E, F) -> np.dot(E.T, F) : transposed
    np.dot(E, F) -> np.dot(E, F.T) : transposed
    np.dot(E, F) -> np.dot(F.T, E) : transposed
    np.dot(E, F) -> np.dot(F, E) : transposed
    E.dot(F) -> E.T.dot(F) : transposed
    E.dot(F) -> E.dot(F.T) : transposed
    E.dot(F) -> F.T.dot(E) : transposed
    E.T @ F -> F.T @ E : transposed
    np.dot(E.T, F) -> np.dot(F.T, E) : transposed
    E.T.dot(F) -> F.T.dot(E) : transposed
    E.swapaxes(*X) -> E : transposed
    E.transpose(*X) -> E : axes-swapped
    np.transpose(E, *X) -> E : axes-swapped
    E.reshape(F, G) -> E.reshape(G, F).T : transposed
    E.reshape(*X) -> E.transpose(AXES).reshape(*X) : axes-swapped
    E.reshape(*X) -> E : axes-swapped
    E -> E.T : transposed
    E -> E.swapaxes(-1, -2) : transposed
    E -> E.swapaxes(1, 2) : axes-swapped
    E -> E.swapaxes(0, 1) : axes-swapped
    E -> E[..., ::-1] : axes-swapped
    E -> E[::-1] : axes-swapped
    E[:, :, ::-1, ::-1] -> E : axes-swapped
    E[::-1] -> E : axes-swapped
    E[..., ::-1] -> E : axes-swapped
    reversed(E) -> E : wrong-order
    E[:I] -> E[I:] : wrong-variable
    E[I:] -> E[:I] : wrong-variable
    E[I] -> E[I - 1] : wrong-variable
    E[I] -> E[I + 1] : wrong-variable
    np.argmin(E, *X, **K) -> np.argmax(E, *X, **K) : mask-redrawn
    np.argmax(E, *X, **K) -> np.argmin(E, *X, **K) : mask-redrawn
    E ** F -> F * E ** (F - 1) : term-factor
    E * E -> 2 * E : term-factor
    E ** F -> E ** (F - 1) : missing-factor
    E ** F -> E ** (F + 1) : missing-factor
    E.astype(F) -> E : float32
    np.diagflat(E * (1 - E)) -> np.diagflat(E) - E @ E.T : softmax-diagonal
    np.diag(E * (1 - E)) -> np.diag(E) - np.outer(E, E) : softmax-diagonal
    np.diagflat(E) -> np.diagflat(E) - E @ E.T : softmax-diagonal
    np.diag(E) -> np.diag(E) - np.outer(E, E) : softmax-diagonal
""") + [
    Row(f"{before}.{one}({first}*X, **K)", f"{before}.{other}({first}*X, **K)", kind)
    for before, first in (("E", ""), ("np", "E, "))
    for one, other, kind in (("sum", "mean", "sum-for-mean"), ("mean", "sum", "mean-for-sum"))
] + [
    Row(f"{before}.{name}({first}*X, **K)", f"{before}.{name}({first}{rest})", kind)
    for name in REDUCTIONS for before, first in (("E", ""), ("np", "E, "))
    for rest, kind in (("*X, **K, keepdims=True", "keepdims"),
                       ("axis=AXIS, **K", "wrong-axis"), ("axis=AXIS, keepdims=KEEP", "wrong-axis"))
]

REDUCED = [row for row in STRUCTURE if row.kind in ("wrong-axis", "keepdims")]
COMPARED = [row for row in STRUCTURE if {*row.pattern.split()} & {"<", ">", "<=", ">="}]

FORWARD = _rows("""
    np.sqrt(E + F) -> np.sqrt(E) + F : eps-outside-root
    np.sqrt(E) + F -> np.sqrt(E + F) : eps-outside-root
    E.var(*X, ddof=F) -> E.var(*X) : bessel
    E.var(*X) -> E.var(*X, ddof=1) : bessel
    np.var(E, *X, ddof=F) -> np.var(E, *X) : bessel
    np.var(E, *X) -> np.var(E, *X, ddof=1) : bessel
    E / (F - 1) -> E / F : bessel
    E / F -> E / (F - 1) : bessel
    T = E -> T += E : overwritten
    E * F -> E : extra-factor
    E / F -> E : extra-factor
""") + [row for row in STRUCTURE if row.kind in (
    "keepdims", "wrong-axis", "mean-for-sum", "sum-for-mean", "transposed", "axes-swapped",
    "term-sign", "float32")]

CUTS = _rows("""
    E.detach() -> E : missing-term
    E.data -> E : missing-term
    stop_gradient(E) -> E : missing-term
    lax.stop_gradient(E) -> E : missing-term
    jax.lax.stop_gradient(E) -> E : missing-term
    torch.no_grad() -> torch.enable_grad() : missing-term
""")

SHAPES = _rows("""
    E -> E.sum(axis=AXIS) : missing-broadcast-sum
    E -> E.sum(axis=AXIS, keepdims=True) : missing-broadcast-sum
    E -> E[:, None] : keepdims
    E -> E[..., None] : keepdims
    E -> E.reshape(A.shape) : wrong-shape
""")

OTHER_NAME = _rows("E -> A : wrong-variable")

SCALED = _rows("E -> c * E : term-factor")

ONE_NAME = _rows("""
    E -> E * A : missing-factor
    E -> E / A : missing-factor
    E -> E * (1 - A) : missing-factor
    E -> E * (1 - A * A) : missing-factor
    E -> E + c * A : missing-term
    E -> E * M : mask-forgotten
    E -> E * (1 - M) : mask-forgotten
    E -> E - np.eye(E.shape[-1])[Y] : one-hot-forgotten
    E -> E - np.eye(E.shape[0])[:, [Y]] : one-hot-forgotten
    E -> E - np.eye(E.shape[0])[Y] : one-hot-forgotten
    E -> (E - np.eye(E.shape[-1])[Y]) / len(Y) : one-hot-forgotten
""")

FORMS = _rows("""
    E -> E * A * (1 - A) : missing-factor
    E -> E * (1 + A) : missing-factor
    E -> E * A ** 2 : missing-factor
    E -> E / A ** 2 : missing-factor
    E -> E * np.exp(A) : missing-factor
    E -> E * np.exp(-A * A / 2) : missing-factor
    E -> E * np.cos(A) : missing-factor
    E -> E * np.sqrt(A) : missing-factor
    E -> E / np.sqrt(A) : missing-factor
    E -> E * (A > 0) : mask-forgotten
    E -> E * np.sign(A) : missing-factor
    E -> E * A[..., None] : missing-factor
    E -> E * A[:, None] : missing-factor
    E -> E * A.swapaxes(-1, -2) : missing-factor
    E -> A > 0 : wrong-variable
    E -> 1 - A : wrong-variable
    E -> A * A : wrong-variable
    E -> np.exp(A) : missing-factor
    E -> E - A * E.sum(-1, keepdims=True) : softmax-diagonal
    E -> E - A * E.sum(0) : softmax-diagonal
    E -> A * (E - (E * A).sum(-1, keepdims=True)) : softmax-diagonal
    E -> E - (E * A).sum(-1, keepdims=True) : softmax-diagonal
    E -> E + c * A.sum(-1, keepdims=True) : missing-term
    E -> E + c * A[..., None] : missing-term
    E -> E + c * A.T : missing-term
    E -> E + c * np.sign(A) : missing-term
    E -> c * E * A : missing-factor
    E -> c * E / A : missing-factor
    E -> E + c : missing-term
    E -> np.where(A > 0, E, 0) : mask-forgotten
""") + [Row("E", f"E - E.mean({axis}, keepdims=True)", "missing-term")
        for axis in ("-1", "0", "(0, 1)", "(0, 2)", "(0, 2, 3)", "(1, 2)", "(2, 3)", "(0, 1, 2)")
        ] + OTHER_NAME

TWO_NAMES = _rows("""
    E -> E * A * B : missing-factor
    E -> E * A / B : missing-factor
    E -> E / A / B : missing-factor
    E -> E * A * (1 - B) : missing-factor
    E -> E * (A - B) : missing-factor
    E -> E * (A + B) : missing-factor
    E -> E * A * (1 - B * B) : missing-factor
    E -> E * (1 + A * (1 - B)) : missing-term
    E -> E * A + B : missing-term
    E -> E + c * A * B : missing-term
    E -> E + c * A / B : missing-term
    E -> E + c * A * (1 - B) : missing-term
    E -> E + c * A @ B : missing-term
    E -> E + c * A @ B.T : missing-term
    E -> E + c * A.T @ B : missing-term
    E -> A * B : wrong-variable
    E -> A / B : wrong-variable
    E -> A - B : wrong-variable
    E -> A @ B : wrong-variable
    E -> A @ B.T : wrong-variable
    E -> A.T @ B : wrong-variable
    E -> A * (B - (A * B).sum(-1, keepdims=True)) : softmax-diagonal
    E -> E - A * (A * B).sum(-1, keepdims=True) : missing-term
    E -> E - A * (A * B).mean(-1, keepdims=True) : missing-term
    E -> E - A * (A * B).mean(0) : missing-term
    E -> E + c * A * B.sum(-1, keepdims=True) : missing-term
    E -> np.where(M, E, B * np.sign(E)) : mask-forgotten
    E -> np.where(M, E, B) : mask-forgotten
    E -> np.where(M, B, E) : mask-forgotten
    E -> np.where(A > 0, E, B * E) : missing-factor
    E -> E * np.where(A > 0, 1, B) : missing-factor
""")

THROUGHOUT = _rows("""
    E @ F -> E @ F.T : transposed
    E @ F.T -> E @ F : transposed
    E @ F -> E.T @ F : transposed
    E.T @ F -> E @ F : transposed
    E + F -> E - F : term-sign
    E - F -> E + F : term-sign
""")
