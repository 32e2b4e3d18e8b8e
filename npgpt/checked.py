"""`@checked`: a public function whose arguments must be of their annotations' types.

    @checked
    def load(path: Path | str, strict: bool = True) -> Model: ...

    load(5)             ValueError: path=5 must be a path or a str
    load("x", 1)        ValueError: strict=1 must be True or False

Python's own complaint would come from somewhere inside, if at all. Ranges, shapes and dtypes are
the function's own business.
"""

from __future__ import annotations

import functools
import inspect
import os
import types
from collections.abc import Callable as AnyCallable
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Callable, ParamSpec, TypeVar, Union, get_args, get_origin

import numpy as np

from .suggest import shown

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, raising ValueError for an argument of another type than its annotation.

    A bool is no integer, an int is a float, a dict may be any mapping, a path is not empty. What is
    annotated with something that no object is an instance of, such as ArrayLike, is not examined.
    NumPy's numbers arrive as Python's, which do not wrap around.
    """
    signature = inspect.signature(function)
    wanted: dict[str, object] = {}

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not wanted:      # at the first call: all modules are loaded then
            wanted.update({name: _annotation(p, function) for name, p in
                           signature.parameters.items()})
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)        # Python says it best
        for name, value in given.arguments.items():
            if not _fits(value, wanted[name]):
                raise ValueError(f"{name}={shown(value)} must be {_phrase(value, wanted[name])}")
            if isinstance(value, np.generic):
                given.arguments[name] = value.item()
        return function(*given.args, **given.kwargs)

    return call


def _annotation(parameter: inspect.Parameter, function: Callable[..., object]) -> object:
    names = parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD
    if parameter.annotation is parameter.empty or parameter.kind in names:
        return object
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    try:
        return eval(parameter.annotation, getattr(function, "__globals__", {}))
    except NameError:       # imported for the type checker alone
        return object


def _members(hint: object) -> tuple[object, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _fits(value: object, hint: object) -> bool:
    members = _members(hint)
    if any(str(getattr(m, "__module__", "")).startswith("numpy._typing") for m in members):
        return True     # ArrayLike, DTypeLike
    if _is_text_of_path(value, members):
        return value != "" and "\0" not in str(value)
    return any(_is_one(value, member) for member in members)


def _is_text_of_path(value: object, members: tuple[object, ...]) -> bool:
    return isinstance(value, str) and any(_is_path(member) for member in members)


def _is_path(hint: object) -> bool:
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, os.PathLike)


def _is_one(value: object, hint: Any) -> bool:
    kind = get_origin(hint) or hint
    if hint is None or hint is type(None):
        return value is None
    if kind is bool:
        return isinstance(value, (bool, np.bool_))
    if kind is int:
        return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if kind is AnyCallable:
        return callable(value)
    if kind is dict:
        return isinstance(value, Mapping)
    try:
        # an array of one number without an axis only looks like a list
        return isinstance(value, os.PathLike if _is_path(hint) else kind) and not (
            kind in _LISTS and isinstance(value, np.ndarray) and value.ndim == 0)
    except TypeError:       # a protocol, a type variable: nothing to be an instance of
        return True


_LISTS = (Collection, Iterable, Sequence)
_PHRASES: dict[object, str] = {
    bool: "True or False", int: "an integer", float: "a number", dict: "a mapping",
    Mapping: "a mapping", AnyCallable: "a function", np.ndarray: "an array", None: "None",
    type(None): "None", **dict.fromkeys(_LISTS, "a list"),
}


def _phrase(value: object, hint: object) -> str:
    phrases, members = [], _members(hint)
    if _is_text_of_path(value, members):
        return "a path that is not empty and holds no NUL"
    for member in members:
        kind = get_origin(member) or member
        name = "path" if _is_path(member) else getattr(kind, "__name__", str(kind))
        article = "an" if name[0] in "aeiouAEIO" else "a"
        phrases.append(_PHRASES.get(kind, f"{article} {name}"))
    return " or ".join(dict.fromkeys(phrases))
