"""A tape played for a training step: in place where an array is nobody else's.

`Tape.backward` is the truth and knows no op. A training step with fast ops may know two things
more. A gradient that an op has just made can take the sum with another one, so no third array is
needed. And the gradient of the token table is a few rows: where the head has already made a table
of gradients they are added to it, instead of making a second table of mostly zeros.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from ..layers.contract import Array
from ..tape import Op, Tape, Var
from . import ops as fast_ops
from .pointwise import add, add_rows, token_embedding_forward


class _Rows:
    """The gradient of a table as rows to be added: a table of zeros is only made if it must be."""

    # lets `array + rows` come here instead of becoming an array of objects
    __array_ufunc__ = None

    def __init__(self, shape: tuple[int, int], ids: Array, rows: Array) -> None:
        self.shape, self.ids, self.rows = shape, ids, rows

    def into(self, table: Array) -> Array:
        """Add the rows to `table`, in place."""
        add_rows(table, self.ids, self.rows)
        return table


def _token_embedding_backward(dout: Array, cache: Any) -> tuple[None, _Rows]:
    ids, shape = cache
    return None, _Rows(shape, ids, dout)


STEP_OPS = SimpleNamespace(**fast_ops.ALL)
STEP_OPS.token_embedding = Op("token_embedding", token_embedding_forward, _token_embedding_backward)

# their backward hands on the array it was given; every other fast op makes a new one
_HANDS_ON = ("residual", "position_embedding", "dropout")


def play(tape: Tape, result: Var, dout: Array) -> dict[Var, Array]:
    """Tape.backward for fast ops: a gradient that an op has just made is added to in place."""
    grads: dict[Var, Any] = {result: dout}
    tape.played = True
    while tape.entries:
        entry = tape.entries.pop()
        entry_dout = grads.pop(entry.out, None)
        if entry_dout is None:
            continue
        dinputs = entry.op.backward(entry_dout, entry.cache)
        for var, grad in zip(entry.inputs, dinputs):
            if not isinstance(var, Var):
                continue
            old = grads.get(var)
            if old is None:
                grads[var] = grad
            elif isinstance(grad, _Rows):
                # the table's other gradient is the head's, made for us
                grads[var] = grad.into(old)
            elif isinstance(old, _Rows):
                grads[var] = old.into(grad)
            else:
                grads[var] = add(old, grad, None if entry.op.name in _HANDS_ON else grad)
        # a cache lives no longer than its entry
        del entry, dinputs, entry_dout
    for var in tape.watched:
        if isinstance(grads.get(var), _Rows):
            grads[var] = grads[var].into(np.zeros_like(var.value))
        elif var not in grads:
            grads[var] = np.zeros_like(var.value)
    return grads
