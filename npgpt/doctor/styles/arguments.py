"""What a function is called with, its arrays as the inputs of a pair, whatever they are nested in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...gradcheck.pair import ContractError, constant, describe
from ..evidence.pair import argument_names
from ..evidence.tree import fits, gradients_of, is_array, is_tree, leaves, rebuilt, spellings


class Arguments:
    """The arguments of a call; `names` and `arrays` are the inputs among them, in order, and
    `arguments` the number of the argument that holds each; `wanted` are the numbers of those that
    can have a gradient.

    Arrays, lists of numbers and `constant(...)` are inputs, also in nested dicts and lists.
    Everything else is a setting and stays as it is, unless `every` leaf is to be an input.
    """

    def __init__(
        self, function: Callable[..., object], given: Sequence[Any], every: bool = False,
        labels: Sequence[str] = (),
    ) -> None:
        self.given, self.every, self.function = tuple(given), every, function
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
        self.wanted = [n for n, value in enumerate(given) if any(map(_moves, leaves(value)))]

    def varied(self, factor: float) -> Arguments | None:
        """The same with other numbers for the floats that are no inputs; None where none are."""
        given = [factor * value if type(value) is float else value for value in self.given]
        return None if self.every or given == list(self.given) else Arguments(
            self.function, given, labels=self.labels)

    def _found(self, labels: Sequence[str]) -> list[tuple[str, Any, int]]:
        return [(name, value, n) for n, (label, tree) in enumerate(zip(labels, self.given))
                for name, value in leaves(tree, label)]

    def require(self) -> None:
        """Raise ContractError where there is no array among them."""
        if not self.arrays:
            raise ContractError("inputs are arrays of floats, integers or booleans, got "
                                + (", ".join(map(describe, self.given)) or "none"))

    def _holds(self, value: object) -> bool:
        return self.every or is_array(value) or isinstance(value, (constant, list, tuple))

    def filled(self, arrays: Sequence[object]) -> list[object]:
        """The arguments with these arrays in place of their own."""
        at, own = iter(arrays), iter(self._is_input)
        result = []
        for value in self.given:
            parts = [next(at) if next(own) else leaf for _, leaf in leaves(value)]
            result.append(rebuilt(value, iter(parts)))
        return result

    def gradients(self, result: object) -> tuple[object, ...]:
        """One gradient for each array, None where `result` has none.

        It may hold one for each argument, or for each that can have one; under the arguments'
        names, or under the names in the only dict among them; or one for the first argument.
        """
        parts: list[object] = [None] * len(self.given)
        for n, part in self._parts(result).items():
            parts[n] = part
        flat = [gradient for value, part in zip(self.given, parts)
                for gradient in gradients_of(value, part)]
        return tuple(g for g, taken in zip(flat, self._is_input) if taken)

    def fit(self, parts: Sequence[object]) -> bool:
        """Whether these are gradients of the first arguments that can have one, by their shapes."""
        return len(parts) <= len(self.wanted) and all(
            fits(self.given[n], part) for n, part in zip(self.wanted, parts))

    def _parts(self, result: object) -> dict[int, object]:
        """What `result` holds for each argument, by number."""
        first = self.wanted[0] if self.wanted else 0
        if isinstance(result, Mapping):
            by_name = {n: result[s] for n, label in enumerate(self.labels)
                       for s in spellings(label) if s in result}
            nests = [n for n, value in enumerate(self.given) if isinstance(value, Mapping)]
            if by_name or nests:
                return by_name or {nests[0]: result}
            if result and self.fit(tuple(result.values())):
                return dict(zip(self.wanted, result.values()))
        elif isinstance(result, (tuple, list)) and not self._is_first(result):
            if self.fit(result) or len(result) != len(self.given):
                return dict(zip(self.wanted, result))
            return dict(enumerate(result))
        return {first: result}

    def _is_first(self, result: Any) -> bool:
        """Whether a tuple or list is itself the gradient of the first argument."""
        if not self.wanted:
            return True
        value = self.given[self.wanted[0]]
        if len(self.given) == 1 and len(result) == 1 and not is_tree(value):
            return np.ndim(result[0]) != np.ndim(value)
        return is_tree(value) == is_tree(result) and fits(value, result)


def _moves(leaf: tuple[str, Any]) -> bool:
    """Whether a leaf can have a gradient: an array of floats, by the name of its dtype for those of
    other libraries, or a list of floats."""
    value = leaf[1]
    if is_array(value):
        return not str(value.dtype).removeprefix("torch.").startswith(("int", "uint", "bool"))
    try:
        return (isinstance(value, (list, tuple, float)) and not isinstance(value, constant)
                and np.asarray(value).dtype.kind == "f")
    except ValueError:      # rows of other lengths
        return False
