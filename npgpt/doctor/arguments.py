"""What a function is called with, its arrays as the inputs of a pair, whatever they are nested in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..gradcheck.pair import constant
from .pair import argument_names
from .tree import gradients_of, is_array, is_tree, leaves, rebuilt, spellings


class Arguments:
    """The arguments of a call; `names` and `arrays` are the inputs among them, in order, and
    `arguments` the number of the argument that holds each.

    Arrays, lists of numbers and `constant(...)` are inputs, also in nested dicts and lists.
    Everything else is a setting and stays as it is, unless `every` leaf is to be an input.
    """

    def __init__(
        self, function: Callable[..., Any], given: Sequence[Any], every: bool = False,
        labels: Sequence[str] = (),
    ) -> None:
        self.given, self.every = tuple(given), every
        self.labels = [*labels, *argument_names(function, len(given))][:len(given)]
        plain = ["" if isinstance(value, Mapping) else label
                 for label, value in zip(self.labels, given)]
        found = self._found(plain)
        if len({name for name, _, _ in found}) < len(found):
            found = self._found(self.labels)
        self._is_input = [self._holds(value) for _, value, _ in found]
        inputs = [leaf for leaf, taken in zip(found, self._is_input) if taken]
        self.names = [name for name, _, _ in inputs]
        self.arrays = tuple(value for _, value, _ in inputs)
        self.arguments = [n for _, _, n in inputs]

    def _found(self, labels: Sequence[str]) -> list[tuple[str, Any, int]]:
        return [(name, value, n) for n, (label, tree) in enumerate(zip(labels, self.given))
                for name, value in leaves(tree, label)]

    def _holds(self, value: Any) -> bool:
        return self.every or is_array(value) or isinstance(value, (constant, list, tuple))

    def filled(self, arrays: Sequence[Any]) -> list[Any]:
        """The arguments with these arrays in place of their own."""
        at, own = iter(arrays), iter(self._is_input)
        result = []
        for value in self.given:
            parts = [next(at) if next(own) else leaf for _, leaf in leaves(value)]
            result.append(rebuilt(value, iter(parts)))
        return result

    def gradients(self, result: Any) -> tuple[Any, ...]:
        """One gradient for each array, None where `result` has none.

        It may hold one for each argument, or for each that can have one; under the arguments'
        names, or under the names in the only dict among them; or one for the first argument.
        """
        wanted = [n for n, value in enumerate(self.given) if any(map(_moves, leaves(value)))]
        parts: list[Any] = [None] * len(self.given)
        for n, part in self._parts(result, wanted).items():
            parts[n] = part
        flat = [gradient for value, part in zip(self.given, parts)
                for gradient in gradients_of(value, part)]
        return tuple(g for g, taken in zip(flat, self._is_input) if taken)

    def _parts(self, result: Any, wanted: list[int]) -> dict[int, Any]:
        """What `result` holds for each argument, by number."""
        if isinstance(result, Mapping):
            by_name = {n: result[s] for n, label in enumerate(self.labels)
                       for s in spellings(label) if s in result}
            nests = [n for n, value in enumerate(self.given) if isinstance(value, Mapping)]
            if by_name or nests:
                return by_name or {nests[0]: result}
        elif isinstance(result, (tuple, list)) and self._one_each(result):
            places = wanted if len(result) == len(wanted) else range(len(self.given))
            return dict(zip(places, result))
        return {wanted[0] if wanted else 0: result}

    def _one_each(self, result: Any) -> bool:
        """Whether a tuple or list holds a gradient for each argument, and is not one itself."""
        if len(self.given) > 1:
            return is_tree(result) or isinstance(result, tuple)
        if is_tree(self.given[0]):
            return len(result) == 1 and is_tree(result[0])
        return len(result) == 1 and np.ndim(result[0]) == np.ndim(self.given[0])


def _moves(leaf: tuple[str, Any]) -> bool:
    """Whether a leaf can have a gradient."""
    value = leaf[1]
    return (not isinstance(value, (constant, int, str, type(None)))
            and (is_array(value) or isinstance(value, (list, tuple, float)))
            and not str(getattr(value, "dtype", np.asarray(value).dtype)).startswith(
                ("int", "uint", "bool")))
