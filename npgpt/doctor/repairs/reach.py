"""What is in reach at a place of the user's code: names, attributes, entries of dictionaries and
the code's own expressions, each with its values there; and what would be computed with them.
"""

from __future__ import annotations

import ast
import copy
import itertools
import math
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...arrays import Array
from ...gradcheck.pair import to_numpy
from ..evidence.fault import NEAR
from ..evidence.subject import CallError, users_code
from ..evidence.tree import is_array
from ..faults.multiple import plain
from ..reading.source import Slot, UserCode
from .edits import fill, is_mask, names_in, tree
from .rows import Row
from .words import as_numpy

LEAVES, ALL = 64, 120  # of the names, and of names and expressions, that are tried
SPELLINGS = 12  # of one number that are tried
PLAIN = (2.0, 0.5, 3.0, 4.0, 0.25)  # rather a number than a size that happens to be equal
WRITES = {"fill", "sort", "resize", "put", "partition", "setfield", "setflags", "tofile", "at",
          "copyto", "fill_diagonal", "shuffle", "seed", "append", "extend", "pop", "update",
          "insert", "backward", "forward", "rand", "randn", "random", "normal", "standard_normal",
          "choice", "integers", "permutation"}


def _expression(node: ast.expr) -> ast.Expression:
    return ast.fix_missing_locations(ast.Expression(as_numpy(copy.deepcopy(node))))


def is_pure(node: ast.AST) -> bool:
    """Can an expression be computed again without a change to anything?"""
    for part in ast.walk(as_numpy(node)):
        if isinstance(part, (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom, ast.stmt)):
            return False
        if isinstance(part, ast.Call):
            name = getattr(part.func, "attr", getattr(part.func, "id", ""))
            if name in WRITES or any(k.arg == "out" for k in part.keywords):
                return False
            if isinstance(part.func, ast.Attribute) and not hasattr(np.ndarray, name) and not (
                    ast.unparse(part.func.value).split(".")[0] in ("np", "numpy", "math")
                    or ast.unparse(part.func.value) == "jnp" and hasattr(np, name)):
                return False
    return True


def as_given(array: object, value: object) -> object:
    """An array as a tensor of PyTorch where `value` is one."""
    return value.new_tensor(array) if hasattr(value, "new_tensor") else array


def copied(value: Any, depth: int = 0) -> Any:
    """A copy of arrays and of what holds them; objects as plain ones with copied attributes."""
    if is_array(value):     # of PyTorch or JAX as well
        return to_numpy(value).copy()
    if depth > 3 or isinstance(
            value, (str, int, float, types.FunctionType, types.ModuleType, type)):
        return value
    if isinstance(value, dict):
        return {k: copied(v, depth + 1) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(copied(v, depth + 1) for v in value)
    if hasattr(value, "__dict__") and not callable(value) or depth == 1 and hasattr(
            value, "__dict__"):
        return types.SimpleNamespace(
            **{k: copied(v, depth + 1) for k, v in vars(value).items()})
    return value


class Hole:
    """A site's value as a function of one of its parts, for each time that it was computed."""

    def __init__(
        self, spaces: list[dict[str, object]], code: types.CodeType | None, values: list[object]
    ) -> None:
        self.spaces, self.code, self.values = spaces, code, values

    def filled(
        self, text: str, parts: dict[str, Atom], c: float, first: bool = False
    ) -> list[object] | None:
        """The site's values, or the first of them, with a replacement in the hole; None where that
        raises."""
        code = _compiled(text)
        result = []
        try:
            with users_code():
                for n, space in enumerate(self.spaces[:1] if first else self.spaces):
                    names = {k: v.values[n] for k, v in parts.items()}
                    value = eval(code, {"np": np, "E": self.values[n], "c": c, **names})
                    if self.code is not None:
                        space["_h"] = value
                        value = eval(self.code, space)
                    result.append(value)
        except CallError:
            return None
        return result


class Atom:
    """Something in reach: its tree and its values."""

    def __init__(self, node: ast.expr, values: list[Any]) -> None:
        self.node, self.values = node, values
        self.text = ast.dump(node)
        self.shapes = tuple((np.shape(v), np.asarray(v).dtype.kind) for v in values)
        self.scalar = not any(shape for shape, _ in self.shapes)


_CODES: dict[str, types.CodeType] = {}


def _compiled(text: str) -> types.CodeType:
    if text not in _CODES:
        _CODES[text] = compile(text, "<replacement>", "eval")
    return _CODES[text]


class Reach:
    """What is in reach at a site."""

    def __init__(self, site: Any, program: UserCode | None = None) -> None:
        self.site = site
        # values are arrays of NumPy here, whose functions have the same names
        same = {n: np for n, value in site.function.globals.items()
                if getattr(value, "__name__", "") == "jax.numpy"}
        self.spaces = [{"np": np, **site.function.globals, **same, **names}
                       for _, names in site.seen]
        self.leaves: list[Atom] = []
        self.atoms: list[Atom] = []
        self.labels: list[Atom] = []
        self.scalars: list[tuple[ast.expr, float]] = []
        self.counts: list[Atom] = []
        if program is not None and self.spaces:
            self._collect(program)

    def values(self, node: ast.expr) -> list[object] | None:
        """The values of an expression, each time; None where it raises or gives no numbers."""
        try:
            with users_code():
                code = compile(_expression(node), "<expression>", "eval")
                values = [eval(code, dict(space)) for space in self.spaces]
                if all(isinstance(v, (np.ndarray, np.number, np.bool_, int, float))
                       and np.asarray(v).dtype.kind in "fiub" for v in values):
                    return values
        except CallError:
            pass
        return None

    def hole(self, site_slot: Slot, slot: Slot) -> Hole | None:
        """The site as a function of one of its places, or None where it cannot be."""
        node = slot.get()
        if slot is site_slot:
            return Hole(self.spaces, None, [value for value, _ in self.site.seen])
        values = self.values(node) if is_pure(node) else None
        if values is None or isinstance(node, ast.Constant) and not isinstance(
                node.value, (int, float)):
            return None
        slot.put(ast.Name("_h", ast.Load()))
        try:
            whole = site_slot.get()
            if not is_pure(whole):
                return None
            with users_code():
                code = compile(_expression(whole), "<site>", "eval")
        except CallError:
            return None
        finally:
            slot.put(node)
        return Hole([dict(space) for space in self.spaces], code, values)

    def parts(self, row: Row, names: set[str]) -> Iterator[dict[str, Atom]]:
        """What A, B, M and Y of a row may be."""
        two = "B" in names
        atoms = self.leaves if two else self.atoms
        if "Y" in names:
            yield from ({"Y": a} for a in self.labels)
        elif "M" in names and two:
            flags = [a for a in self.atoms if np.asarray(a.values[0]).dtype.kind == "b"
                     and 0 < np.mean(a.values[0]) < 1]
            yield from ({"M": a, "B": b} for a, b in itertools.product(flags, atoms))
        elif "M" in names:
            yield from ({"M": a} for a in self.atoms if is_mask(a.values[0]))
        elif two:
            yield from ({"A": a, "B": b} for a, b in itertools.permutations(atoms, 2))
        elif "A" in names:
            leaf = row.replacement == "A"
            yield from ({"A": a} for a in ([*self.counts, *atoms] if leaf else atoms))
        else:
            yield {}

    def _collect(self, program: UserCode) -> None:
        seen = set[object]()
        texts = sorted(_leaves(self.site.seen[0][1]), key=lambda text: not text.isidentifier())
        own = [self.site.function, *[f for f in program.functions
                                     if f is not self.site.function]]
        composite: dict[str, None] = {}
        for f in own:
            for node in ast.walk(f.node):
                if isinstance(node, (ast.BinOp, ast.Call, ast.Subscript, ast.Compare, ast.UnaryOp,
                                     ast.Attribute, ast.Name)) and is_pure(node) and isinstance(
                        getattr(node, "ctx", ast.Load()), ast.Load):
                    composite.setdefault(ast.unparse(node))
        texts += [name for name, value in self.site.function.globals.items()
                  if type(value) in (int, float) and not name.startswith("_")]
        for text in [*texts, *sorted(composite, key=lambda t: (len(t), t))]:
            if len(text) > 70 or "_site" in text or text in ("np", "math"):
                continue
            node = ast.parse(text, mode="eval").body
            values = self.values(node)
            if values is None:
                continue
            array = np.asarray(values[0])
            if array.size == 0 or array.size > 5000 or not np.all(np.isfinite(array)):
                continue
            if array.ndim == 0 and array.dtype.kind != "b":
                self.scalars.append((node, float(array)))
                if len(self.counts) < LEAVES:
                    self.counts.append(Atom(node, values))
                if isinstance(values[0], (int, np.integer)):
                    if not isinstance(node, (ast.Name, ast.Subscript)):
                        continue
                    self.labels.append(Atom(node, values))
                    continue
            # in a loop two names may be equal at first only
            key = tuple((a.shape, a.dtype.kind, a.tobytes()) for a in map(np.asarray, values))
            if array.dtype.kind in "iu" and array.ndim:
                self.labels.append(Atom(node, values))
            if key in seen:
                continue
            seen.add(key)
            atom = Atom(node, values)
            if array.ndim:
                self._sizes(text, array)
            if array.dtype.kind in "iu" and not array.ndim:
                continue
            if len(self.atoms) < ALL:
                self.atoms.append(atom)
            if len(self.leaves) < LEAVES and (text in texts or isinstance(node, (
                    ast.Name, ast.Attribute, ast.Subscript, ast.Compare))):
                self.leaves.append(atom)

    def _sizes(self, text: str, array: Array) -> None:
        if not text.isidentifier() and not text.replace(".", "").isidentifier():
            return
        forms = [(f"len({text})", array.shape[0])] + [
            (f"{text}.shape[{k}]", n) for k, n in enumerate(array.shape) if k] + [
            (f"{text}.size", array.size)] * (array.ndim > 1)
        for form, n in forms:
            if n > 1:
                node = ast.parse(form, mode="eval").body
                self.scalars.append((node, float(n)))
                self.counts.append(Atom(node, [n] * len(self.spaces)))

    def numbers(self, row: Row, c: float) -> Iterator[tuple[str, str, dict[str, object]]]:
        """(kind, replacement, what S and Z are) of a row whose number must be c: nothing, a sign, a
        number, or an expression of the code's own numbers and sizes."""
        kind, text = row.kind, row.replacement
        if "c" not in names_in(tree(text)):
            yield kind, text, {}
            return
        size, value = abs(c), float(plain(c))
        rest = text.split("c * ", 1)[1] if "c * " in text else "1"
        head = text.split(" + c", 1)[0] if " + c" in text else ""
        named = head or "A" in names_in(tree(text))
        sign = "-" if c < 0 else ""
        join = f"{head} {sign or '+'} " if head else sign
        simple = abs(c - value) < NEAR * max(1.0, size)
        if size < NEAR:
            if not named:
                yield "extra-term", "0", {}
            return
        if abs(size - 1) < NEAR:
            words = kind if named else "wrong-sign"
            yield words, f"{join}{rest}", {}
            return
        factor = kind if named else "term-factor"
        times = f"{abs(value) if simple else size:.12g}"
        number: tuple[str, str, dict[str, object]] = factor, f"{join}{times} * {rest}", {}
        if simple and abs(value) in PLAIN:
            yield number
        yield from self._expressions(size, factor, join, rest)
        if simple and abs(value) not in PLAIN:
            yield number
        elif not simple:
            yield number

    def numbers_for(self, old: ast.expr, value: float) -> dict[float, list[ast.expr]]:
        """Other numbers than the value of an expression, each with ways to write it: with one of
        the code's own numbers and sizes more or less, or with one or two of them alone."""
        own = {ast.dump(node): (node, v) for node, v in self.scalars if v > 0 and v != 1}
        given = [*own.values()]
        found: dict[float, list[ast.expr]] = {}
        pairs = [((old, value), b) for b in given] + [*itertools.combinations(given, 2)]
        for ways, texts in ((pairs[:len(given)], ("S * Z", "S // Z", "S - Z", "S + Z")),
                            ([(a, a) for a in given], ("S", "S - 1", "S + 1")),
                            (pairs[len(given):], ("S * Z",))):
            for (a, v), (b, w) in ways:
                for text in texts:
                    number = float(eval(_compiled(text), {"S": v, "Z": w}))
                    if number > 0 and number != value and len(found.get(number, ())) < SPELLINGS:
                        found.setdefault(number, []).append(fill(tree(text), S=a, Z=b))
        return found

    def _expressions(
        self, size: float, kind: str, join: str, rest: str
    ) -> Iterator[tuple[str, str, dict[str, object]]]:
        given = [(n, v) for n, v in self.scalars if v > 0 and v != 1]
        count = 0
        for form, f in SINGLE:
            for node, v in given:
                with np.errstate(all="ignore"):
                    if v > 0 and abs(f(v) / size - 1) < 1e-9 and count < 24:
                        count += 1
                        yield kind, join + form.replace("R", rest), {"S": node}
        for form, g in DOUBLE:
            for (a, v), (b, w) in itertools.permutations(given, 2):
                if abs(g(v, w) / size - 1) < 1e-9 and count < 48:
                    count += 1
                    yield kind, join + form.replace("R", rest), {"S": a, "Z": b}


SINGLE: list[tuple[str, Callable[[float], float]]] = [
    ("R / S", lambda v: 1 / v),
    ("S * R", lambda v: v),
    ("R / np.sqrt(S)", lambda v: 1 / math.sqrt(v)),
    ("np.sqrt(S) * R", math.sqrt),
    ("S / (S - 1) * R", lambda v: v / (v - 1) if v != 1 else math.inf),
    ("(S - 1) / S * R", lambda v: (v - 1) / v),
    ("2 * S * R", lambda v: 2 * v),
    ("2 * R / S", lambda v: 2 / v),
    ("R / (2 * S)", lambda v: 1 / (2 * v)),
    ("S * R / 2", lambda v: v / 2),
    ("S ** 2 * R", lambda v: v * v),
    ("R / S ** 2", lambda v: 1 / (v * v)),
    ("(1 - S) * R", lambda v: 1 - v),
    ("R / (1 - S)", lambda v: 1 / (1 - v) if v != 1 else math.inf),
    ("R / (S - 1)", lambda v: 1 / (v - 1) if v != 1 else math.inf),
    ("(1 + S) * R", lambda v: 1 + v),
]
DOUBLE: list[tuple[str, Callable[[float, float], float]]] = [
    ("S * R / Z", lambda v, w: v / w),
    ("R / (S * Z)", lambda v, w: 1 / (v * w)),
    ("S * Z * R", lambda v, w: v * w),
    ("np.sqrt(S / Z) * R", lambda v, w: math.sqrt(v / w)),
    ("S * R / np.sqrt(Z)", lambda v, w: v / math.sqrt(w)),
]


def _leaves(names: dict[str, object]) -> Iterator[str]:
    """Names, `self.x`, `cache["x"]`, and what these hold."""
    for name, value in names.items():
        if not name.startswith("_"):
            yield from _inside(name, value, 0)


def _inside(text: str, value: object, depth: int) -> Iterator[str]:
    if isinstance(value, (np.ndarray, np.number, int, float)):
        yield text
    elif depth < 2 and isinstance(value, dict):
        for key, part in value.items():
            if isinstance(key, str):
                yield from _inside(f"{text}[{key!r}]", part, depth + 1)
    elif depth < 2 and isinstance(value, types.SimpleNamespace):
        for key, part in vars(value).items():
            yield from _inside(f"{text}.{key}", part, depth + 1)
