"""Arrays in nested dicts, lists and tuples: their names, and the same nest with other arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...gradcheck.pair import constant


def is_tree(value: object) -> bool:
    """Whether a value is a dict, or a list or tuple that holds arrays; [1.0, 2.0] is an array."""
    if isinstance(value, Mapping):
        return True
    return (isinstance(value, (list, tuple)) and not isinstance(value, constant)
            and any(is_tree(v) or isinstance(v, constant)
                    or is_array(v) and not isinstance(v, np.generic) for v in value))


def is_array(value: object) -> bool:
    """Whether a value is an array of NumPy, PyTorch or JAX."""
    return isinstance(value, np.ndarray) or (hasattr(value, "shape") and hasattr(value, "dtype"))


def leaves(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """(name, leaf) of all that a tree holds, in order: `fc.W` in dicts, `layers[0]` in lists."""
    if not is_tree(value):
        return [(name, value)]
    if isinstance(value, Mapping):
        named = [(f"{name}.{key}" if name else str(key), part) for key, part in value.items()]
    else:
        named = [(f"{name}[{number}]", part) for number, part in enumerate(value)]
    return [leaf for key, part in named for leaf in leaves(part, key)]


def rebuilt(value: Any, others: Iterator[object]) -> Any:
    """The same tree with `others` for its leaves, in order."""
    if not is_tree(value):
        return next(others)
    if isinstance(value, Mapping):
        return {key: rebuilt(part, others) for key, part in value.items()}
    parts = [rebuilt(part, others) for part in value]
    if isinstance(value, tuple):
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return parts


def spellings(name: str) -> tuple[str, ...]:
    """The names under which people keep the gradient of `name`."""
    return name, f"d{name}", f"d_{name}", f"grad_{name}", f"{name}_grad"


def gradients_of(params: Any, grads: Any) -> list[object]:
    """The leaf of `grads` for each leaf of `params`, None where there is none."""
    if not is_tree(params):
        return [grads]
    if isinstance(params, Mapping):
        found = grads if isinstance(grads, Mapping) else {}
        parts = [next((found[s] for s in (key, *spellings(str(key))) if s in found), None)
                 for key in params]
    else:
        parts = list(grads) if isinstance(grads, (list, tuple)) else []
        parts += [None] * (len(params) - len(parts))
    children = params.values() if isinstance(params, Mapping) else params
    return [leaf for child, part in zip(children, parts) for leaf in gradients_of(child, part)]


def fits(value: Any, part: Any) -> bool:
    """Whether `part` could be the gradient of `value`: the same nest, the same shapes."""
    if part is None:
        return True
    if isinstance(value, constant):
        return False
    if isinstance(value, Mapping):
        if not isinstance(part, Mapping):
            return False
        found = [(v, [part[s] for s in spellings(str(k)) if s in part]) for k, v in value.items()]
        return any(p for _, p in found) and all(fits(v, p[0]) for v, p in found if p)
    if is_tree(value):
        return (isinstance(part, (list, tuple)) and len(part) == len(value)
                and all(map(fits, value, part)))
    try:
        return bool(np.shape(part) == np.shape(value))
    except ValueError:      # rows of other lengths
        return False
