"""A tape for the training step: it holds no values, and adds in place where it may.

`Tape` is the truth and knows no op. A training step with fast ops may know more. A gradient that an
op has just made can take the sum with another one, so no third array is needed. And the gradient of
the token table is a few rows: where the head has already made a table of gradients they are added
to it, instead of making a second table of mostly zeros.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...fast.blocks import add
from ...fast.embedding import add_rows
from ...fast.ops import FAST
from ...layers.contract import Array
from ...layers.embedding import token_embedding_forward
from ...tape import Entry, Op, Tape, Var


class _Rows:
    """The gradient of a table as rows to be added: a table of zeros is only made if it must be."""

    def __init__(self, shape: tuple[int, int], ids: Array, rows: Array) -> None:
        self.shape, self.ids, self.rows = shape, ids, rows

    def into(self, table: Array) -> Array:
        """Add the rows to `table`, in place."""
        add_rows(table, self.ids, self.rows)
        return table


def _token_embedding_backward(dout: Array, cache: Any) -> tuple[None, _Rows]:
    ids, shape = cache
    return None, _Rows(shape, ids, dout)


STEP_OPS = replace(FAST, token_embedding=Op(
    "token_embedding", token_embedding_forward, _token_embedding_backward))

# their backward hands on the array it was given; every other fast op makes a new one
_HANDS_ON = ("residual", "position_embedding", "dropout")


class StepTape(Tape):
    """A tape that holds no values: an array lives on only where a cache or the model keeps it.

    Its entries name inputs and outputs by keys, so that the stream between two blocks, or a branch
    that was added to it, is freed during forward already.
    """

    def watch(self, values: Any) -> Any:
        """As Tape.watch, for a dict of arrays or one array."""
        if isinstance(values, dict):
            return {name: self.watch(array) for name, array in values.items()}
        return _KeyedVar(values, self)

    def write(
        self, op: Op, inputs: tuple[Any, ...], settings: dict[str, Any], out: Array, cache: Any
    ) -> Var:
        """Add one entry; ops call this."""
        var = _KeyedVar(out, self)
        keys = tuple(i.key if isinstance(i, _KeyedVar) else None for i in inputs)
        self.entries.append(Entry(op, keys, settings, var.key, cache))  # type: ignore[arg-type]
        return var


class _KeyedVar(Var):
    """A Var with a key that stands for it when its value is gone."""

    __slots__ = ("key",)

    def __init__(self, value: Array, tape: Tape) -> None:
        super().__init__(value, tape)
        self.key = object()


def play(tape: StepTape, result: Any, dout: Array, wanted: list[Any]) -> list[Array]:
    """The gradients of `wanted` Vars, as Tape.backward gives them, for fast ops.

    A gradient that an op has just made takes the sum with an older one in place.
    """
    grads: dict[Any, Any] = {result.key: dout}
    ours: set[Any] = set()          # keys whose gradient nobody else holds
    while tape.entries:
        entry = tape.entries.pop()
        entry_dout = grads.pop(entry.out, None)
        if entry_dout is None:
            continue
        dinputs = entry.op.backward(entry_dout, entry.cache)
        fresh = entry.op.name not in _HANDS_ON
        for key, grad in zip(entry.inputs, dinputs):
            if key is not None:
                _collect(grads, ours, key, grad, fresh)
        # a cache lives no longer than its entry, nor does a gradient that was added
        del entry, dinputs, entry_dout, grad
    return [_finished(grads.get(var.key), var.value) for var in wanted]


def _collect(grads: dict[Any, Any], ours: set[Any], key: Any, grad: Any, fresh: bool) -> None:
    """Add one more gradient for `key`; `fresh` if an op has just made it, for us to write into."""
    old = grads.get(key)
    if old is None:
        grads[key] = grad
        if fresh:
            ours.add(key)
        return
    if isinstance(grad, _Rows) or isinstance(old, _Rows):
        rows, other, own = (grad, old, key in ours) if isinstance(grad, _Rows) else (
            old, grad, fresh)
        if isinstance(other, _Rows):
            other = other.into(np.zeros(other.shape, other.rows.dtype))
        elif not own:
            other = other.copy()
        grads[key] = rows.into(other)
    else:
        grads[key] = add(old, grad, grad if fresh else None)
    ours.add(key)


def _finished(grad: Any, value: Array) -> Array:
    if grad is None:
        return np.zeros_like(value)
    return grad.into(np.zeros_like(value)) if isinstance(grad, _Rows) else grad
