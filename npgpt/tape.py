"""A tape: it records which op made which array, and plays that backwards for gradients.

    tape = Tape()
    x = tape.watch(np.array([1.0, 2.0]))      # a Var: a value on this tape
    y = gelu(x)                               # an Op writes an entry and gives a Var
    grads = tape.backward(y, dout)            # {x: dLoss/dx}

An Op is a name with its pair of functions. Called with plain arrays it computes and writes nothing:
that is inference. The tape knows no layer; the order of writing is already a topological order.
Entries refer to values by integer keys: an array lives only as long as a cache or caller needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, NamedTuple, TypeVar, overload

import numpy as np

from .arrays import Array as Array
from .arrays import Cache as Cache


class TapeError(ValueError):
    """A tape was used in a way that cannot give a gradient; the message says how."""


class Var:
    """A value on a tape."""

    __slots__ = ("value", "tape", "key")

    def __init__(self, value: Array, tape: Tape, key: int) -> None:
        self.value, self.tape, self.key = value, tape, key

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self.value.shape

    def __repr__(self) -> str:
        return f"Var(shape={self.value.shape}, dtype={self.value.dtype})"


class SparseGradient:
    """A gradient that is mostly zeros, such as a table's of which a few rows were used."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def add_to(self, array: Array) -> None:
        """Add the elements that are not zero to `array`, in place."""
        raise NotImplementedError

    def __array__(self, dtype: np.dtype[Any] | None = None, copy: bool | None = None) -> Array:
        dense = np.zeros(self.shape, self.dtype if dtype is None else dtype)
        self.add_to(dense)
        return dense


Gradient = Array | SparseGradient
V = TypeVar("V", Array, Var)    # what goes in comes out: arrays, or values on a tape


@dataclass(frozen=True)
class Op:
    """A named pair under the layer contract.

    forward(*arrays, **settings) -> (out, cache); backward(dout, cache) -> one gradient per array.
    """

    name: str
    forward: Callable[..., tuple[Array, Cache]]
    backward: Callable[[Array, Cache], tuple[Gradient | None, ...]]
    fresh: bool = False
    """Whether every array that backward gives is its own, so that a sum may be taken in place."""
    inference: Callable[..., Array] | None = None
    """Gives out alone, without a cache: used where no Var is among the inputs."""
    frozen: Op | None = None
    """The same op where the first input alone is a Var: it saves nothing for the others' gradients.

    Those are None. Without it backward computes them, and the tape drops them.
    """

    @overload
    def __call__(self, *inputs: Array | None, **settings: Any) -> Array: ...

    @overload
    def __call__(self, *inputs: Array | Var | None, **settings: Any) -> Var: ...

    def __call__(self, *inputs: Array | Var | None, **settings: Any) -> Array | Var:
        """Arrays in, array out. A Var among the inputs: a Var out, and an entry on its tape.

        Raises TapeError for Vars on different tapes, and for an array or a Var as keyword.
        """
        for name, value in settings.items():
            if isinstance(value, (Var, np.ndarray)):
                raise TapeError(f"{self.name}: expected {name} by position; keywords are settings")
        tapes = {id(i.tape): i.tape for i in inputs if isinstance(i, Var)}
        if len(tapes) > 1:
            raise TapeError(f"{self.name}: the inputs lie on {len(tapes)} tapes; expected one")
        if not tapes and self.inference is not None:
            return self.inference(*inputs, **settings)
        if tapes and self.frozen is not None and not any(isinstance(i, Var) for i in inputs[1:]):
            return self.frozen(*inputs, **settings)
        out, cache = self.forward(*_values(inputs), **settings)
        if not tapes:
            return out
        return next(iter(tapes.values())).write(self, inputs, settings, out, cache)


def _values(inputs: tuple[Array | Var | None, ...]) -> tuple[Array | None, ...]:
    return tuple(i.value if isinstance(i, Var) else i for i in inputs)


class Entry(NamedTuple):
    """One line of a tape: `op` made the value with key `out` from those with keys `inputs`."""

    op: Op
    inputs: tuple[int | None, ...]      # None for a plain array
    settings: dict[str, Any]
    out: int
    cache: Cache


# called with an entry, the values of its inputs, and its output
OnEntry = Callable[[Entry, tuple[Array | None, ...], Array], None]


class Tape:
    """Records ops on watched values, then gives the gradients of one result; plays once.

    `on_entry` sees each entry and the values around it as they are made: the tape keeps no value.
    With `keep=False` it keeps no entry either, and backward is an error.
    """

    def __init__(self, on_entry: OnEntry | None = None, keep: bool = True) -> None:
        self.entries: list[Entry] = []
        self.watched: list[Var] = []
        self.shapes: list[tuple[int, ...]] = []     # of every value, by its key
        self.played = False
        self._on_entry = on_entry
        self._keep = keep

    def __repr__(self) -> str:
        played = ", played" if self.played else ""
        return f"Tape({len(self.watched)} watched, {len(self.entries)} ops recorded{played})"

    @overload
    def watch(self, values: Array) -> Var: ...

    @overload
    def watch(self, values: Mapping[str, Array]) -> dict[str, Var]: ...

    def watch(self, values: Array | Mapping[str, Array]) -> Var | dict[str, Var]:
        """Put an array, or a dict of arrays, on the tape: backward will give their gradients.

        Raises TapeError for a Var, and on a tape that was played already.
        """
        if isinstance(values, Mapping):
            return {name: self.watch(array) for name, array in values.items()}
        self._check_not_played()
        if np.asarray(values).dtype.kind not in "fc":
            raise TapeError(f"watch takes arrays of floats; values are {np.asarray(values).dtype}")
        self.watched.append(self._new(np.asarray(values)))
        return self.watched[-1]

    def write(
        self, op: Op, inputs: tuple[Array | Var | None, ...], settings: dict[str, Any],
        out: Array, cache: Cache,
    ) -> Var:
        """Add one entry; ops call this. Raises TapeError on a tape that was played already."""
        self._check_not_played()
        var = self._new(out)
        keys = tuple(i.key if isinstance(i, Var) else None for i in inputs)
        entry = Entry(op, keys, settings, var.key, cache)
        if self._on_entry is not None:
            self._on_entry(entry, _values(inputs), out)
        if self._keep:
            self.entries.append(entry)
        return var

    def backward(
        self, result: Var, dout: Array | None = None,
        on_gradient: Callable[[Entry, Array], None] | None = None,
        on_final: Callable[[Var, Array], None] | None = None,
    ) -> dict[Var, Array]:
        """Gradients of `result` for the watched Vars, each an array of its own; zeros for no part.

        `dout` is dLoss/dresult and has result's shape; a result of one element needs none.
        `on_gradient` sees each entry and its dout, newest entry first. `on_final` sees each watched
        Var that has a part, with its gradient, as soon as nothing more is added to it. Each cache
        is freed as soon as it was used. Raises TapeError for a Var of another tape, a tape that was
        played or keeps no entries, a gradient of the wrong shape.
        """
        if not isinstance(result, Var) or result.tape is not self:
            raise TapeError(f"backward needs a result of this tape; got {type(result).__name__}")
        self._check_not_played()
        if not self._keep:
            raise TapeError("this tape keeps no entries; record on a Tape(keep=True)")
        if dout is None and result.value.size != 1:
            raise TapeError(f"result has shape {result.shape}: pass dout of that shape")
        dout = np.ones_like(result.value) if dout is None else np.asarray(dout)
        if dout.dtype.kind not in "fiuc":
            raise TapeError(f"dout must be an array of numbers; got {dout.dtype}")
        self._check_shape("dout", dout, result.key)
        self.played = True
        grads: dict[int, Gradient] = {result.key: dout}
        owned: set[int] = set()         # keys whose gradient nobody else holds
        final = self._final() if on_final is not None else {}

        def finish(out: int) -> None:
            for var in final.pop(out, ()):
                if on_final is not None and var.key in grads:
                    grads[var.key] = _own(grads[var.key], var.key in owned)
                    owned.add(var.key)
                    on_final(var, np.asarray(grads[var.key]))

        while self.entries:
            entry = self.entries.pop()
            gradient = grads.pop(entry.out, None)
            if gradient is None:
                finish(entry.out)
                continue
            dout = np.asarray(gradient)
            if on_gradient is not None:
                on_gradient(entry, dout)
            dinputs = entry.op.backward(dout, entry.cache)
            self._check_gradients(entry, dinputs)
            for key, grad in zip(entry.inputs, dinputs):
                if key is not None and grad is not None:
                    _accumulate(grads, owned, key, grad, entry.op.fresh)
            # a cache lives no longer than its entry, nor does a gradient that was added
            out = entry.out
            del entry, dinputs, gradient, dout, grad
            finish(out)
        watched, self.watched = self.watched, []    # each holds the other: let the values go
        return {var: np.zeros_like(var.value) if (grad := grads.get(var.key)) is None
                else _own(grad, var.key in owned) for var in watched}

    def _final(self) -> dict[int, list[Var]]:
        """By an entry's output: the watched Vars that no older entry reads."""
        oldest: dict[int, int] = {}
        for entry in self.entries:
            for key in entry.inputs:
                if key is not None:
                    oldest.setdefault(key, entry.out)
        found: dict[int, list[Var]] = {}
        for var in self.watched:
            if var.key in oldest:
                found.setdefault(oldest[var.key], []).append(var)
        return found

    def _new(self, value: Array) -> Var:
        self.shapes.append(np.shape(value))
        return Var(value, self, len(self.shapes) - 1)

    def _check_not_played(self) -> None:
        if self.played:
            raise TapeError("this tape was played already; record a new one")

    def _check_gradients(self, entry: Entry, dinputs: tuple[Gradient | None, ...]) -> None:
        name, n = entry.op.name, len(entry.inputs)
        given = len(dinputs) if isinstance(dinputs, tuple) else type(dinputs).__name__
        if given != n:
            raise TapeError(f"{name}: backward must give a tuple of {n} gradients; got {given}")
        for key, grad in zip(entry.inputs, dinputs):
            if key is not None:
                self._check_shape(name, grad, key)

    def _check_shape(self, who: str, grad: Gradient | None, key: int) -> None:
        shape = getattr(grad, "shape", None if grad is None else np.shape(grad))
        if shape != self.shapes[key]:
            raise TapeError(f"{who}: expected a gradient of shape {self.shapes[key]}; got {shape}")


def _own(grad: Gradient, owned: bool) -> Array:
    return np.asarray(grad) if owned else np.array(grad)


def _accumulate(
    grads: dict[int, Gradient], owned: set[int], key: int, grad: Gradient, fresh: bool
) -> None:
    """Add `grad` to what `key` has so far, in place only where nobody else holds the array."""
    old = grads.get(key)
    if old is None:
        grads[key] = grad
        if fresh:
            owned.add(key)
        return
    if isinstance(grad, SparseGradient):
        total = np.asarray(old) if key in owned else np.array(old)
        grad.add_to(total)
    elif isinstance(old, SparseGradient):
        total = grad if fresh else grad.copy()
        old.add_to(total)
    elif fresh and isinstance(grad, np.ndarray) and grad.dtype == np.result_type(old, grad):
        total = np.add(old, grad, out=grad)
    else:       # never +=: a residual hands one and the same array to two places
        total = old + grad
    grads[key] = total
    owned.add(key)
