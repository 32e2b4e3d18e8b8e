"""A tape: it writes down which op made which array, and plays that backwards for gradients.

    tape = Tape()
    x = tape.watch(np.array([1.0, 2.0]))      # a Var: a value on this tape
    y = gelu(x)                               # an Op writes an entry and gives a Var
    grads = tape.backward(y, dout)            # {x: dLoss/dx}

An Op is a name with its pair of functions. Called with plain arrays it computes and writes nothing:
that is inference. The tape knows no layer; the order of writing is already a topological order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping, NamedTuple, overload

import numpy as np

from .arrays import Array as Array


class TapeError(ValueError):
    """A tape was used in a way that cannot give a gradient; the message says how."""


class Var:
    """A value on a tape."""

    __slots__ = ("value", "tape")

    def __init__(self, value: Array, tape: Tape) -> None:
        self.value = value
        self.tape = tape

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self.value.shape

    def __repr__(self) -> str:
        return f"Var(shape={self.value.shape}, dtype={self.value.dtype})"


class Entry(NamedTuple):
    """One line of a tape: `op` made `out` from `inputs` (Vars and plain arrays)."""

    op: Op
    inputs: tuple[Any, ...]
    settings: dict[str, Any]
    out: Var
    cache: Any


@dataclass(frozen=True, repr=False)
class Op:
    """A named pair under the layer contract.

    forward(*arrays, **settings) -> (out, cache); backward(dout, cache) -> one gradient per array.
    """

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    fresh: bool = False
    """Whether every array that backward gives is its own, so that a sum may be taken in place."""
    inference: Callable[..., Any] | None = None
    """out alone, where no Var is among the inputs: for a forward that need not save anything."""

    def __call__(self, *inputs: Any, **settings: Any) -> Any:
        """Arrays in, array out. A Var among the inputs: a Var out, and an entry on its tape."""
        values = tuple(i.value if isinstance(i, Var) else i for i in inputs)
        tapes = {id(i.tape): i.tape for i in inputs if isinstance(i, Var)}
        if len(tapes) > 1:
            raise TapeError(f"{self.name}: the inputs lie on {len(tapes)} tapes; use one")
        if not tapes and self.inference is not None:
            return self.inference(*values, **settings)
        out, cache = self.forward(*values, **settings)
        if not tapes:
            return out
        (tape,) = tapes.values()
        return tape.write(self, inputs, settings, out, cache)

    def __repr__(self) -> str:
        return f"Op({self.name!r})"


class Tape:
    """Records ops on watched values, then gives the gradients of one result; plays once."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.watched: list[Var] = []
        self.played = False

    @overload
    def watch(self, values: Array) -> Var: ...

    @overload
    def watch(self, values: Mapping[str, Array]) -> dict[str, Var]: ...

    def watch(self, values: Any) -> Any:
        """Put an array, or a dict of arrays, on the tape: their gradients will be given."""
        if isinstance(values, Mapping):
            return {name: self.watch(array) for name, array in values.items()}
        if isinstance(values, Var):
            raise TapeError(f"watch takes arrays; got {values!r}, which lies on a tape already")
        self._must_be_fresh()
        var = Var(np.asarray(values), self)
        self.watched.append(var)
        return var

    def write(
        self, op: Op, inputs: tuple[Any, ...], settings: dict[str, Any], out: Array, cache: Any
    ) -> Var:
        """Add one entry; ops call this."""
        self._must_be_fresh()
        var = Var(out, self)
        self.entries.append(Entry(op, inputs, settings, var, cache))
        return var

    def backward(
        self,
        result: Var,
        dout: Array | None = None,
        visit: Callable[[Entry, Array, tuple[Any, ...]], None] | None = None,
    ) -> dict[Var, Array]:
        """Gradients of `result` for every watched Var, zeros where it has no part.

        `dout` is dLoss/dresult and has result's shape; a scalar result needs none. `visit` is
        called with each entry, its dout and its input gradients, newest entry first. Entries are
        dropped as they are played, so that each cache is freed as soon as it was used.
        """
        if not isinstance(result, Var) or result.tape is not self:
            raise TapeError(f"backward needs a Var of this tape; got {result!r}")
        self._must_be_fresh()
        if dout is None:
            if result.value.size != 1:
                raise TapeError(f"result has shape {result.shape}: pass dout of that shape")
            dout = np.ones_like(result.value)
        _check_shape("dout", dout, result)
        self.played = True
        grads: dict[Var, Array] = {result: np.asarray(dout)}
        while self.entries:
            entry = self.entries.pop()
            entry_dout = grads.pop(entry.out, None)
            if entry_dout is None:
                continue
            dinputs = entry.op.backward(entry_dout, entry.cache)
            if visit is not None:
                visit(entry, entry_dout, dinputs)
            for var, grad in _pairs(entry, dinputs):
                # a + b and never +=: a residual hands one array to two places
                grads[var] = grads[var] + grad if var in grads else grad
        for var in self.watched:
            if var not in grads:
                grads[var] = np.zeros_like(var.value)
        return {var: grads[var] for var in self.watched}

    def _must_be_fresh(self) -> None:
        if self.played:
            raise TapeError("this tape was played already; record a new one")


def _pairs(entry: Entry, dinputs: tuple[Any, ...]) -> Iterator[tuple[Var, Array]]:
    if not isinstance(dinputs, tuple) or len(dinputs) != len(entry.inputs):
        given = f"{len(dinputs)} gradients" if isinstance(dinputs, tuple) else repr(type(dinputs))
        raise TapeError(
            f"{entry.op.name}: backward must give a tuple of {len(entry.inputs)}, one gradient "
            f"per input; got {given}"
        )
    for var, grad in zip(entry.inputs, dinputs):
        if isinstance(var, Var):
            if grad is None:
                raise TapeError(f"{entry.op.name}: no gradient for an input of shape {var.shape}")
            _check_shape(entry.op.name, grad, var)
            yield var, grad


def _check_shape(who: str, grad: Any, var: Var) -> None:
    if np.shape(grad) != var.shape:
        raise TapeError(f"{who}: gradient of shape {np.shape(grad)} for a value of {var.shape}")
