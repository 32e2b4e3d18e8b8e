"""The parameters of a layer object: arrays in its attributes, with their gradients beside them."""

from __future__ import annotations

import copy
import re
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...gradcheck.pair import to_numpy
from ..behaviour import same
from ..evidence.subject import CallError, users_code
from ..evidence.tree import fits, is_array, spellings

Path = tuple[tuple[str, Any], ...]      # ("attr", name) and ("item", key), from the layer on
DEPTH = 8
GRADS = ("grads", "gradients", "dparams", "grad")
# an array of such a name is a parameter even where backward gives no gradient for it
_PARAMETER = re.compile(
    r"(w|b|u|v|r|weights?|bias(es)?|gamma|beta|alpha|theta|g|gain|scale|shift|slope|kernel|"
    r"emb(ed(ding)?s?)?)(_?\w)?", re.I)


def is_parameter(name: str) -> bool:
    """Whether an array of such a name is one to be learned, as W, b2, fc.weight and gamma are."""
    return _PARAMETER.fullmatch(name.rpartition(".")[2]) is not None


@dataclass
class Parameter:
    """An array in a layer, by the `paths` that lead to it: several where it has several names.

    Its gradient is at `at`, or `number` among what backward returned (a name in a dict), or what
    backward moved it by, at a learning rate of one, where it `steps`.
    """

    paths: list[Path]
    at: Path | None = None
    number: object = None
    steps: bool = False

    @property
    def name(self) -> str:
        """Such as `W`, `params[W]` or `fc.W`."""
        text = ""
        for kind, key in self.paths[0]:
            text += f".{key}" if kind == "attr" else f"[{key}]"
        return text.removeprefix(".")

    def get(self, layer: object) -> Any:
        """The array."""
        return _follow(layer, self.paths[0])

    def put(self, layer: object, array: object) -> None:
        """Another array in its place; what is there as its gradient becomes zero."""
        for path in self.paths:
            _set(layer, path, array)
        if self.at is not None and is_array(before := _follow(layer, self.at)):
            _set(layer, self.at, np.zeros(np.shape(before)))

    def gradient(self, layer: object, rest: Any, before: object) -> object:
        """Its gradient after a call of backward that returned `rest` beside those of the inputs;
        `before` is the layer before the call."""
        if self.steps:
            return np.asarray(self.get(before)) - self.get(layer)
        value = rest[self.number] if self.number is not None else (
            None if self.at is None else _follow(layer, self.at))
        return value if value is None else to_numpy(value)


def parameters(
    layer: object, run: Callable[[object], object], after: object, out: object, rest: Any,
    steps: bool, computed: Collection[str] = (),
) -> tuple[list[Parameter], str]:
    """The parameters of a layer, and a note on arrays that count in forward and have no gradient.

    `after` is a copy of it after a forward that gave `out` and a backward that returned `rest`
    beside the inputs' gradients; `run` calls forward of another copy; `computed` are the names that
    backward assigns to: a dM that goes nowhere was meant for M.
    """
    all_of_them: dict[int, Parameter] = {}
    for path, value in _arrays(layer):
        if any(key in GRADS for _, key in path):
            continue
        all_of_them.setdefault(id(value), Parameter([])).paths.append(path)
    found, left = [], []
    for parameter in all_of_them.values():
        parameter.at = next((c for path in parameter.paths for c in _candidates(path)
                             if _is_number(_follow(after, c))), None)
        value = parameter.get(layer)
        if parameter.at is not None:
            found.append(parameter)
        elif isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size:
            left.append(parameter)
    for parameter in left[:]:
        parameter.at = _in_a_like_container(parameter.paths, layer, after)
        if parameter.at is not None:
            left.remove(parameter)
            found.append(parameter)
    gradients = {p.at for p in found}
    found = [p for p in found if not gradients & set(p.paths)]
    left = [p for p in left if not gradients & set(p.paths)]
    left = [p for p in left if _counts(p, layer, run, out)]
    if isinstance(rest, Mapping):
        for p in left:
            last = str(p.paths[0][-1][1])
            p.number = next((s for s in spellings(last) if s in rest), None)
    else:
        for number, gradient in enumerate(rest):
            fits = [p for p in left if p.number is None]
            same = [p for p in fits if np.shape(p.get(layer)) == np.shape(gradient)]
            if fits:
                (same or fits)[0].number = number
    for p in left:
        p.steps = steps and not np.array_equal(p.get(layer), p.get(after))
    by_name = [p for p in left if p.number is None and not p.steps
               and (is_parameter(last := str(p.paths[0][-1][1])) or f"d{last}" in computed)]
    found += [p for p in left if p.number is not None or p.steps or p in by_name]
    constants = ", ".join(p.name for p in left if p not in found)
    note = f"backward leaves no gradient for {constants}: taken for constant." if constants else ""
    order = list(all_of_them.values())
    return sorted(found, key=order.index), note


def _arrays(value: object, path: Path = (), seen: frozenset[int] = frozenset()) -> Iterator[
        tuple[Path, object]]:
    """The arrays and numbers that can be exchanged in an object, and the paths to them."""
    if isinstance(value, (np.ndarray, float)):
        yield path, value
        return
    if id(value) in seen or len(path) > DEPTH or isinstance(
            value, (type, types.ModuleType, types.FunctionType, np.random.Generator)):
        return
    seen = seen | {id(value)}
    if isinstance(value, Mapping):
        steps = [("item", key, part) for key, part in value.items()]
    elif isinstance(value, (list, tuple)):
        steps = [("item", number, part) for number, part in enumerate(value)
                 if isinstance(value, list) or not isinstance(part, (np.ndarray, float))]
    else:
        steps = [("attr", key, part) for key, part in getattr(value, "__dict__", {}).items()]
    for kind, key, part in steps:
        yield from _arrays(part, (*path, (kind, key)), seen)


def _candidates(path: Path) -> Iterator[Path]:
    """Where the gradient of the array at a path may be."""
    *above, (kind, key) = path
    if isinstance(key, str):
        for spelling in spellings(key)[1:]:
            yield (*above, (kind, spelling))
        if kind == "attr":
            yield from ((*above, ("attr", grads), ("item", spelling))
                        for grads in GRADS for spelling in spellings(key))
        if key in ("data", "value", "val", "array"):
            yield (*above, (kind, "grad"))
    if above and kind == "item":
        *higher, (upper_kind, upper) = above
        for grads in (*GRADS, f"d{upper}"):
            for name in spellings(key) if isinstance(key, str) else (key,):
                yield (*higher, (upper_kind, grads), (kind, name))


def _in_a_like_container(paths: list[Path], layer: object, after: object) -> Path | None:
    """The place of a gradient in a dict or list of another name, which a run has filled and which
    is like the one that holds the array: `self.g["W"]` for `self.p["W"]`."""
    for *above, (kind, name), (item, key) in (path for path in paths if len(path) > 1):
        value, holder = _follow(after, (*above, (kind, name))), _follow(after, tuple(above))
        if item != "item" or kind != "attr":
            continue
        for other, container in vars(holder).items():
            place = (*above, (kind, other))
            if other != name and fits(value, container) and type(container) is type(value) and (
                    not same(container, _follow(layer, place))):
                spelled = spellings(key) if isinstance(key, str) else (key,)
                return next(((*place, (item, s)) for s in spelled
                             if _is_number(_follow(after, (*place, (item, s))))), None)
    return None


def _follow(value: Any, path: Path) -> Any:
    """What is at a path; None where nothing is."""
    for kind, key in path:
        if kind == "attr":
            value = getattr(value, "__dict__", {}).get(key)
        elif isinstance(value, Mapping):
            value = value.get(key)
        else:
            fits = isinstance(value, (list, tuple)) and isinstance(key, int) and key < len(value)
            value = value[key] if fits else None
    return value


def _set(value: object, path: Path, new: object) -> None:
    *above, (kind, key) = path
    holder = _follow(value, tuple(above))
    if kind == "attr":
        setattr(holder, key, new)
    else:
        holder[key] = new


def _is_number(value: object) -> bool:
    return isinstance(value, (float, np.generic, np.ndarray)) and np.asarray(value).dtype.kind in (
        "fiu")


def _counts(
    parameter: Parameter, layer: object, run: Callable[[object], object], out: object
) -> bool:
    """Whether out depends on an array: those that forward overwrites do not count."""
    own = copy.deepcopy(layer)
    parameter.put(own, parameter.get(own) * 1.01 + 0.01)
    try:
        with users_code():
            return not same(run(own), out)
    except CallError:
        return True
