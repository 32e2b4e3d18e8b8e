"""What of a file is for PyTorch or JAX to differentiate: an autograd.Function, a module with a
header, a function with a rule of its own.

Neither is imported here: a file that holds one of them has imported it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..evidence.report import Report
from .headers import make_inputs
from .jax_check import check_jax
from .torch_check import check_torch

Check = Callable[..., Report]


def check_of(value: object) -> Check | None:
    """The check for such a value, None for any other."""
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if inspect.isclass(value) and torch and issubclass(value, torch.autograd.Function):
        return check_torch
    return check_jax if jax and isinstance(value, (jax.custom_vjp, jax.custom_jvp)) else None


def rules(value: object) -> list[object]:
    """The functions that such a value is made of: they are no pair of their own."""
    names = () if inspect.isclass(value) else ("fun", "fwd", "bwd", "jvp")
    return [vars(value)[name] for name in names if vars(value).get(name)]


def report_of(
    check: Check, value: Any, values: Mapping[str, object], rng: np.random.Generator
) -> Report:
    """The report on a value of a file, with inputs from the values of its header."""
    function = value
    if hasattr(value, "setup_context"):     # of PyTorch: `ctx` is no input
        own = value.setup_context is sys.modules["torch"].autograd.Function.setup_context
        function = functools.partial(value.forward, None) if own else value.forward
    inputs, settings = make_inputs(function, values, rng)
    given = iter(inputs)
    # `apply` takes no keywords; every argument stands where forward has it
    arguments = [settings[name] if name in settings else next(given, parameter.default)
                 for name, parameter in inspect.signature(function).parameters.items()]
    while arguments and arguments[-1] is inspect.Parameter.empty:
        arguments.pop()
    return check(value, *arguments)
