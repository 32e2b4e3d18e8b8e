"""A piece handed to `npgpt.doctor` the way its author would, as far as there is a way.

    pairs                 check(forward, backward, *arrays, **settings)
    a loss of a dict      check_scalar(loss, parameters, gradients)
    everything else       check_function(f, grad, arrays), through a thin adapter that runs USE

This is the only place that knows the check's entry points.
"""

from __future__ import annotations

import ast
import inspect
from types import ModuleType
from typing import Any

import numpy as np

from npgpt.doctor import Report, check, check_function, check_scalar

from .piece import Inputs, backward, forward, is_loss


def examine(module: ModuleType, inputs: Inputs) -> tuple[str, Report]:
    """(the entry point that fits, its report); what it raises is raised."""
    use, values = module.USE, inputs.values
    pair = _pair(module, inputs)
    if pair is not None:
        return "check", check(pair[0], pair[1], *pair[2], **pair[3])
    if is_loss(module) and "{" in use["forward"]:
        _, names = forward(module, inputs)
        grads = backward(module, names, 1.0)

        def loss(p: dict[str, Any]) -> Any:
            return forward(module, Inputs({**values, **p}, inputs.floats, inputs.sizes))[0]

        return "check_scalar", check_scalar(
            loss, {n: values[n] for n in inputs.floats}, grads, op=module.__name__)
    return "check_function", check_function(*_adapter(module, inputs))


def _adapter(module: ModuleType, inputs: Inputs) -> tuple[Any, Any, Any]:
    """(f, grad, arrays): USE as two functions of the inputs with a gradient."""

    def run(arrays: tuple[Any, ...]) -> tuple[Any, dict[str, Any]]:
        given = {**inputs.values, **dict(zip(inputs.floats, arrays))}
        return forward(module, Inputs(given, inputs.floats, inputs.sizes))

    def f(*arrays: Any) -> Any:
        out = run(arrays)[0]
        return np.concatenate([np.ravel(o) for o in out]) if isinstance(out, tuple) else out

    def gradients(*arrays: Any) -> tuple[Any, ...]:
        out, names = run(arrays[:len(inputs.floats)])
        dout = arrays[-1] if len(arrays) > len(inputs.floats) else 1.0
        if isinstance(out, tuple):
            cuts = np.cumsum([np.size(o) for o in out])[:-1]
            dout = tuple(d.reshape(np.shape(o)) for d, o in zip(np.split(dout, cuts), out))
        grads = backward(module, names, dout)
        return tuple(grads[n] for n in inputs.floats)

    names = ", ".join(inputs.floats)
    with_dout = names if is_loss(module) else f"{names}, dout"
    scope = {"_f": f, "_g": gradients}
    arrays = tuple(inputs.values[n] for n in inputs.floats)
    return (eval(f"lambda {names}: _f({names})", scope),
            eval(f"lambda {with_dout}: _g({with_dout})", scope), arrays)


def _pair(module: ModuleType, inputs: Inputs) -> tuple[Any, Any, list[Any], dict[str, Any]] | None:
    """(forward, backward, arrays, settings), or None if USE is not a pair under the contract."""
    there, back = (ast.parse(module.USE[half]).body for half in ("forward", "backward"))
    if len(there) != 1 or not ast.unparse(there[0]).startswith("out, cache = "):
        return None
    call, answer = there[0].value, back[0].value  # type: ignore[attr-defined]
    if len(back) != 1 or not ast.unparse(answer).endswith("(dout, cache)"):
        return None
    forward_, backward_ = (getattr(module, c.func.id) for c in (call, answer))
    parameters = list(inspect.signature(forward_).parameters)
    scope = {**vars(module), **inputs.sizes, **inputs.values}
    arrays, settings = [], {}
    given = dict(zip(parameters, call.args)) | {k.arg: k.value for k in call.keywords}
    for name, node in given.items():
        text = ast.unparse(node)
        if text in inputs.floats:
            arrays.append(text)
        else:
            settings[name] = eval(text, scope)
    names = [f"d{n}" for n in arrays]
    if ast.unparse(back[0].targets[0]).strip("()") != ", ".join(names):  # type: ignore
        return None
    return forward_, backward_, [inputs.values[n] for n in arrays], settings
