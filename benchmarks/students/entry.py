"""A piece handed to `npgpt.doctor` the way its author would, as far as there is a way.

    pairs                 check(forward, backward, *arrays, **settings)
    everything else       check_function(f, grad, arrays), through a thin adapter that runs USE

This is the only place that knows the check's entry points.
"""

from __future__ import annotations

import ast
import inspect
from types import ModuleType
from typing import Any

import numpy as np

from npgpt.doctor import Report, check, check_function

from .piece import Inputs, is_loss


def examine(module: ModuleType, inputs: Inputs) -> tuple[str, Report]:
    """(the entry point that fits, its report); what it raises is raised."""
    pair = _pair(module, inputs)
    if pair is not None:
        return "check", check(pair[0], pair[1], *pair[2], **pair[3])
    return "check_function", check_function(*_adapter(module, inputs))


def _adapter(module: ModuleType, inputs: Inputs) -> tuple[Any, Any, Any]:
    """(f, grad, arrays): USE as two functions of the inputs with a gradient, in the piece's own
    namespace. Their text is not kept, as in a shell, so that only the piece itself can be read."""
    use, names = module.USE, ", ".join(inputs.floats)
    others = {n: v for n, v in inputs.values.items() if n not in inputs.floats}
    scope = {**vars(module), **inputs.sizes, "_others": others, "_flat": _flat, "_cut": _cut}
    fresh = [f"{n} = _others[{n!r}].copy()" for n in others]
    there = [*fresh, *use["forward"].splitlines()]
    loss = is_loss(module)
    back = [*there, *([] if loss else ["dout = _cut(dout, out)"]), *use["backward"].splitlines(),
            f"return {', '.join('d' + n for n in inputs.floats)},"]
    lines = [f"def f({names}):", *_indented([*there, "return _flat(out)"]),
             f"def grad({names}{'' if loss else ', dout'}):", *_indented(back)]
    exec("\n".join(lines), scope)
    return scope["f"], scope["grad"], tuple(inputs.values[n] for n in inputs.floats)


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


def _flat(out: Any) -> Any:
    return np.concatenate([np.ravel(o) for o in out]) if isinstance(out, tuple) else out


def _cut(dout: Any, out: Any) -> Any:
    """The part of dout that belongs to each output."""
    if not isinstance(out, tuple):
        return dout
    cuts = np.cumsum([np.size(o) for o in out])[:-1]
    return tuple(d.reshape(np.shape(o)) for d, o in zip(np.split(dout, cuts), out))


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
