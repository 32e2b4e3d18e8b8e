"""A student's piece of code: where it lies, what it is called with, and how it is run.

Every file in the folders of STYLES is one right piece. At its end stands USE, the three things that
its author would type to try it:

    inputs     "x=(N=3,D=5) y=ids(N)<C=4": each input with its shape, every size by a letter
    forward    statements that compute `out` (an array, a number, or a tuple of arrays)
    backward   statements that compute `dx` for each input x with a gradient, from `dout` if they
               mention it; if not, out is a loss and its gradient with respect to itself is 1
    seed       (0 if left out) of the random inputs; another one where 0 falls beside a kink

Kinds of inputs: `(..)` random floats, `positive(..)`, `unit(..)` between 0.1 and 0.9, `rows(..)`
whose last axis sums to 1; and without a gradient: `const(..)` floats, `signs(..)` of +1 and -1,
`bits(..)` of 0.0 and 1.0, `onehot(..)`, `keep(..)` booleans with a True in every row, `ids(..)<n`
integers with a repeated one, `ties(..)` small integers as floats with equal neighbours.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

HERE = Path(__file__).parent
STYLES = ("pairs", "cs231n", "classes", "loss_grads", "ninja")
INPUT = re.compile(r"(\w+)=(\w*)\(([^)]*)\)(?:<(\w+)(?:=(\d+))?)?(?=\s|$)")
CONSTANT = {"const", "signs", "bits", "onehot", "keep", "ids"}


def _ids(rng: np.random.Generator, shape: tuple[int, ...], limit: int) -> Any:
    ids = rng.integers(0, limit, shape)
    ids.reshape(-1)[-1] = ids.reshape(-1)[0]
    return ids


def _keep(rng: np.random.Generator, shape: tuple[int, ...], _: int) -> Any:
    keep = rng.random(shape) < 0.6
    keep[..., 0] = True
    keep.reshape(-1)[-1] = False
    return keep


def _rows(rng: np.random.Generator, shape: tuple[int, ...], _: int) -> Any:
    e = np.exp(rng.standard_normal(shape))
    return e / e.sum(-1, keepdims=True)


def _bits(rng: np.random.Generator, shape: tuple[int, ...], _: int) -> Any:
    bits = (rng.random(shape) < 0.5).astype(float)
    bits.reshape(-1)[:2] = 0.0, 1.0
    return bits


KINDS: dict[str, Callable[[np.random.Generator, tuple[int, ...], int], Any]] = {
    "": lambda rng, shape, _: rng.standard_normal(shape),
    "const": lambda rng, shape, _: rng.standard_normal(shape),
    "positive": lambda rng, shape, _: rng.uniform(0.5, 2.0, shape),
    "unit": lambda rng, shape, _: rng.uniform(0.1, 0.9, shape),
    "rows": _rows,
    "signs": lambda rng, shape, _: 2 * _bits(rng, shape, 0) - 1,
    "bits": _bits,
    "onehot": lambda rng, shape, _: np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])],
    "keep": _keep,
    "ids": _ids,
    "ties": lambda rng, shape, _: rng.integers(0, 2, shape).astype(float),
}


@dataclass(frozen=True)
class Inputs:
    """What a piece is called with: `values` by name, the names with a gradient, sizes by letter."""

    values: dict[str, Any]
    floats: tuple[str, ...]
    sizes: dict[str, int]


def draw(text: str, seed: int = 0) -> Inputs:
    """The inputs that a USE names; ValueError for a text that is not of its form."""
    rng, values, floats, sizes = np.random.default_rng(seed), {}, [], {}
    if INPUT.sub("", text).strip():
        raise ValueError(f"expected inputs such as x=(N=3,D=5), got {INPUT.sub('', text).strip()}")
    for name, kind, dims, letter, number in INPUT.findall(text):
        for each, size in re.findall(r"(\w+)=(\d+)", dims) + [(letter, number)] * bool(number):
            sizes[each] = int(size)
        names = [d.split("=")[0] for d in dims.split(",") if d]
        shape = tuple(sizes[d] if d in sizes else int(d) for d in names)
        values[name] = KINDS[kind](rng, shape, sizes.get(letter, 0))
        floats += [name] * (kind not in CONSTANT)
    return Inputs(values, tuple(floats), sizes)


@dataclass(frozen=True)
class Piece:
    """One file of code. `source` is its text, which in a fault is not that of the file."""

    path: Path
    source: str

    @property
    def name(self) -> str:
        """The name of its file, which no other piece has."""
        return self.path.stem

    @property
    def style(self) -> str:
        """The folder that it lies in, one of STYLES."""
        return self.path.parent.name

    def load(self, folder: Path) -> ModuleType:
        """The code as a new module, from a file in `folder`: inspect finds its source."""
        path = folder / f"{self.name}_{zlib.crc32(self.source.encode()):x}.py"
        path.write_text(self.source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        return module


@functools.cache
def pieces() -> dict[str, Piece]:
    """All right pieces by name."""
    paths = [p for style in STYLES for p in sorted((HERE / style).glob("*.py"))
             if p.stem != "__init__"]
    return {p.stem: Piece(p, p.read_text(encoding="utf-8")) for p in paths}


def inputs_of(module: ModuleType, text: str = "", more: int = 0) -> Inputs:
    """The inputs of a loaded piece, or of another `text` in their place; `more` is added to the
    seed."""
    return draw(text or module.USE["inputs"], module.USE.get("seed", 0) + more)


def forward(module: ModuleType, inputs: Inputs) -> tuple[Any, dict[str, Any]]:
    """(out, the names that its author has after forward); the inputs are copied."""
    names = {**vars(module), **inputs.sizes}
    names |= {n: v.copy() for n, v in inputs.values.items()}
    exec(module.USE["forward"], names)
    return names["out"], names


def backward(module: ModuleType, names: dict[str, Any], dout: Any) -> dict[str, Any]:
    """The gradients by the names of the inputs, after the forward that left `names`."""
    names["dout"] = dout
    exec(module.USE["backward"], names)
    return {n: names.get("d" + n) for n in inputs_of(module).floats}


def is_loss(module: ModuleType) -> bool:
    """True if backward takes no dout, since out is a loss."""
    return re.search(r"\bdout\b", module.USE["backward"]) is None


def random_dout(module: ModuleType, out: Any, seed: int = 1) -> Any:
    """A random number for each of out; 1 for a loss, and a tuple for a tuple."""
    rng = np.random.default_rng(seed)
    if is_loss(module):
        return 1.0
    if isinstance(out, tuple):
        return tuple(rng.standard_normal(np.shape(o)) for o in out)
    return rng.standard_normal(np.shape(out))[()]
