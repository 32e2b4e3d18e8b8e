"""A learner's layers as the model's ops: each that passed, and the fused ops composed of them.

    mine = Own(passed)          # {exercise: the learner's module}
    model.loss(params, ids, targets, config, ops=mine.ops)

Wherever the package's softmax would run, inside attention or in another file of the learner's, the
learner's own runs instead: npgpt's fused layers are loaded anew with the learner's functions in
their place, and what the learner imported of the package is exchanged likewise.
"""

from __future__ import annotations

import importlib.util
import types
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .. import layers
from ..arrays import Array
from ..config import GPT2Config
from ..doctor.values import programs, training
from ..doctor.values.program import accepted
from ..model import block
from ..ops import TEXTBOOK, Ops
from ..tape import Op, V
from .exercise import Exercise

HALVES = "forward", "backward"
# the rooms of layers that are made of other layers
FUSED = ("attention", "feed_forward", "cross_entropy")
# runs as an op of its own alone: inside of attention nothing is dropped here
ALONE = {"dropout_forward", "dropout_backward"}
PARTS: dict[str, Callable[..., object]] = {
    "adamw": training.adamw, "clip": training.clip, "learning_rate": training.learning_rate,
    "sampling": programs.sampling,
}
# the parameters of a block, by the names that its function finds them under
BLOCK = [f"{name}.{half}" for name in (
    "ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
    for half in ("weight", "bias")]
Function = Callable[..., Any]


class Own:
    """`ops` and `parts` with a learner's own where they passed; `calls` counts how often each half
    of a layer, or a part, ran."""

    def __init__(self, passed: Mapping[Exercise, types.ModuleType]) -> None:
        self.calls: Counter[str] = Counter()
        self.whose: dict[str, Exercise] = {}
        self.parts = dict(PARTS)
        own: dict[str, Function] = {}
        for exercise, module in passed.items():
            train = exercise.about.get("train", {})
            for name in train.get("ops", []):
                self.whose[name] = exercise
                pair = [getattr(module, f"{name}_{half}") for half in HALVES]
                if name == "causal_attention":
                    pair = _any_axes_in_front(*pair)
                own |= self._pair(name, *pair)
            for name in train.get("parts", []):
                if name in PARTS:
                    self.whose[name] = exercise
                    self.parts[name] = self._counted(name, getattr(module, name))
        everything = _package() | _composed(own) | own
        by_function = {id(function): name for name, function in _package().items()}
        for module in passed.values():
            for name, value in vars(module).copy().items():
                replaced = by_function.get(id(value))
                if replaced is not None and replaced not in ALONE:
                    setattr(module, name, everything[replaced])
        self._block = Op("block", *_block_pair(own)) if "block_forward" in own else None
        changed = {name: Op(name, everything[f"{name}_forward"], everything[f"{name}_backward"])
                   for name in TEXTBOOK.named()
                   if everything[f"{name}_forward"] is not _package()[f"{name}_forward"]}
        self.ops: Ops = replace(TEXTBOOK, **changed)

    def _counted(self, key: str, function: Function) -> Function:
        def counting(*inputs: object, **settings: object) -> object:
            self.calls[key] += 1
            # such as attention's dropout, which is off here
            return function(*inputs, **accepted(function, settings))

        counting.__name__ = key
        return counting

    def _pair(self, name: str, forward: Function, backward: Function) -> dict[str, Function]:
        """A layer's halves, counted. A check accepts a gradient that stands alone, a list, and
        gradients without a place for ids; the tape wants a tuple with one for each array."""
        floats: list[bool] = []
        first, second = (self._counted(f"{name}_{half}", function)
                         for half, function in zip(HALVES, (forward, backward), strict=True))

        def given(*inputs: object, **settings: Any) -> object:
            floats[:] = [isinstance(x, np.ndarray) and x.dtype.kind in "fc" for x in inputs]
            if "rate" in settings:      # the model has no rng where nothing is dropped
                settings["training"] = settings["rate"] > 0
            return _as_given(first(*inputs, **settings), inputs)

        def gradients(dout: Array, cache: object) -> object:
            result = second(dout, cache)
            parts = list(result) if isinstance(result, (tuple, list)) else [result]
            if len(parts) < len(floats):
                parts = [parts.pop(0) if float_ and parts else None for float_ in floats]
            return _as_given(tuple(parts), (dout,))

        given.__name__, gradients.__name__ = (f"{name}_{half}" for half in HALVES)
        return {f"{name}_forward": given, f"{name}_backward": gradients}

    @property
    def run_block(self) -> Callable[..., object] | None:
        """What runs the model's blocks: a learner's whole block the first of them, so that their
        single layers run too, in the others; None where no block passed."""
        if self._block is None:
            return None
        own: Op = self._block

        def run(params: Mapping[str, V], layer: int, x: V, config: GPT2Config, **rest: Any) -> V:
            if layer:
                return block(params, layer, x, config, **rest)
            return own(x, *(params[f"h.0.{name}"] for name in BLOCK), n_head=config.n_head)

        return run


def _any_axes_in_front(forward: Function, backward: Function) -> list[Function]:
    """A head written for (B, T, D), with batch and heads of the model as one axis in front."""
    def rows(*arrays: Array) -> list[Array]:
        return [a.reshape(-1, *a.shape[-2:]) for a in arrays]

    def attend(q: Array, k: Array, v: Array) -> tuple[Array, object]:
        out, cache = forward(*rows(q, k, v))
        return out.reshape(q.shape[:-1] + v.shape[-1:]), cache

    def back(dout: Array, cache: object) -> tuple[Array, ...]:
        front = dout.shape[:-2]
        return tuple(d.reshape(*front, *d.shape[-2:]) for d in backward(*rows(dout), cache))

    return [attend, back]


def _as_given(result: object, inputs: tuple[object, ...]) -> object:
    """Arrays of a result in the dtype of the inputs: a mask or a constant in float64 would turn the
    whole model into float64, which is right and slow."""
    dtypes = [x.dtype for x in inputs if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    if not dtypes or not isinstance(result, tuple):
        return result
    return tuple(x.astype(dtypes[0], copy=False) if isinstance(x, np.ndarray)
                 and x.dtype.kind == "f" else x for x in result)


def _block_pair(own: Mapping[str, Function]) -> tuple[Function, Function]:
    """A block that takes its parameters as a dict, under the contract of layers."""
    def forward(x: Array, *arrays: Array, n_head: int) -> tuple[Array, object]:
        out, cache = own["block_forward"](x, dict(zip(BLOCK, arrays, strict=True)), n_head=n_head)
        return out, cache

    def backward(dout: Array, cache: object) -> tuple[Array, ...]:
        dx, dparams = own["block_backward"](dout, cache)
        return dx, *(dparams[name] for name in BLOCK)

    return forward, backward


def _package() -> dict[str, Function]:
    """Every function of npgpt's pairs by its name."""
    return {f"{name}_{half}": getattr(op, half) for name, op in TEXTBOOK.named().items()
            for half in HALVES}


def _composed(own: Mapping[str, Function]) -> dict[str, Function]:
    """The fused layers' functions, with a learner's in place of those that they call."""
    found: dict[str, Function] = {}
    for room in FUSED:
        # not in sys.modules: nobody else sees this copy
        spec = importlib.util.spec_from_file_location(
            f"{layers.__name__}.{room}", f"{layers.__path__[0]}/{room}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        composed = {name: value for name, value in vars(module).items() if name in _package()
                    and getattr(value, "__module__", "") == module.__name__}
        used = own.keys() & vars(module).keys() - ALONE
        if not used:
            continue
        for name in used:
            setattr(module, name, own[name])
        if room == "feed_forward":
            for name, pair in module.ACTIVATIONS.items():
                module.ACTIVATIONS[name] = tuple(own.get(f.__name__, f) for f in pair)
        found |= composed
    return found
