"""Functions that give a loss and its gradients at once: `loss, grads = f(...)`."""

from __future__ import annotations

import ast
import copy
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...gradcheck.pair import ContractError, constant, describe
from ..evidence.pair import fresh_copy
from ..evidence.report import Report
from ..evidence.subject import VARIED, CallError, Function, Program, Subject, numbers
from ..examine import examine
from ..reading.source import read
from .arguments import Arguments
from .function import checked_number, gradient_arrays, paths, scaled
from .parameters import is_parameter

_GRADIENT = re.compile(r"d_?[A-Za-z]\w*|g(rad)?_\w+|\w+_grad")


def check_loss(f: Callable[..., object], *given: object, **settings: object) -> Report:
    """Examine a function that returns its gradients with the loss: `loss, grads = f(*given)`.

    `grads` may be an array, the gradient of the first argument; a tuple with one for each argument,
    as in `loss, dW, db = f(W, b, x)`; or a dict under the arguments' names or those of a dict among
    them, nested too (`dW` is also the gradient of `W`). Of a method such as `model.loss` it may be
    that of the object's dict `params`. An argument for which f returns no gradient is a constant,
    and named in a note. Raises ContractError, a ValueError, for inputs that are not numbers.

    >>> check_loss(lambda w: ((w * w).sum(), 2 * w), np.array([1.0, 2.0])).ok
    True
    """
    if given and isinstance(given[0], (int, float)):
        given = (np.asarray(given[0]), *given[1:])
    owner: Any = f.__self__ if inspect.ismethod(f) else None
    model = isinstance(getattr(owner, "params", None), Mapping)
    arguments = Arguments(f, (owner.params, *given), labels=("params", *Arguments(
        f, given).labels)) if model else Arguments(f, given)
    arguments.require()

    all_gradients = _returns_gradients(getattr(f, "__func__", f))

    def call(
        function: Function, arguments: Arguments, settings: dict[str, object], arrays: Any
    ) -> tuple[object, object]:
        values = arguments.filled(arrays)
        if owner is not None:
            own = copy.deepcopy(owner)
            if model:
                own.params = values.pop(0)
            values.insert(0, own)
        result = function(*values, **fresh_copy(settings))
        if not isinstance(result, (tuple, list)) or len(result) < 2:
            raise ContractError(f"f returned {describe(result)}; expected two things, the loss and "
                                "its gradients: return loss, grads")
        several = len(result) > 2 and (arguments.fit(result[1:]) or all_gradients)  # loss, dW, db
        grads = tuple(result[1:]) if several else result[1]
        return checked_number(result[0]), gradient_arrays(arguments.gradients(grads))

    def missing(name: str) -> str:
        return f"f gives none for it, under none of {', '.join(paths(name))}."

    def program_of(arguments: Arguments, settings: dict[str, object]) -> Program:
        def pair(functions: Mapping[str, Function]) -> tuple[Function, Function]:
            return (lambda *arrays: call(functions["f"], arguments, settings, arrays),
                    lambda dout, grads: scaled(dout, grads))

        def varied() -> Program | None:
            given, words = arguments.varied(VARIED), numbers(settings)
            return None if given is None and not words else program_of(
                given or arguments, {**settings, **words})

        return Program({"f": getattr(f, "__func__", f)}, pair, "f", "f", missing, varied)

    program = program_of(arguments, settings)
    name = getattr(f, "__name__", type(f).__name__)
    subject = Subject.of(program, arguments.arrays, arguments.names, name)
    notes = []
    try:
        gradients = subject.run()[1]
    except (CallError, ContractError):  # the examination reports it
        return examine(subject)
    given_for = {arguments.arguments[i] for i in subject.floats if gradients[i] is not None}
    fixed = [i for i in subject.floats if arguments.arguments[i] not in given_for and not (
        # where W has a gradient, b is not left out by intention
        is_parameter(arguments.names[i]) and any(
            is_parameter(arguments.names[k]) for k in subject.floats if gradients[k] is not None))]
    if given_for and fixed:
        arrays = [constant(a) if i in fixed else a for i, a in enumerate(arguments.arrays)]
        subject = Subject.of(program, arrays, arguments.names, name)
        names = ", ".join(arguments.names[i] for i in fixed)
        notes.append(f"f returns no gradient for {names}: taken for "
                     f"{'a constant' if len(fixed) == 1 else 'constants'}.")
    report = examine(subject)
    report.notes += notes
    return report


def _returns_gradients(f: Callable[..., object]) -> bool:
    """Whether all that f returns behind its loss are gradients by their names: loss, dW, db."""
    source = read(f)
    node = source.functions[source.name].body[-1] if source and isinstance(
        source.functions[source.name], ast.FunctionDef) else None
    value = node.value if isinstance(node, ast.Return) else None
    parts = value.elts[1:] if isinstance(value, ast.Tuple) else []
    return len(parts) > 1 and all(isinstance(part, ast.Name) and _GRADIENT.fullmatch(part.id)
                                  for part in parts)
