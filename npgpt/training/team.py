"""Training over ranks: each computes its rows of a batch, and updates its part of the parameters.

The trained parameters lie in one flat buffer, cut into equal parts, one a rank, whatever the
borders of the parameters:

    gradients      of the rank's own rows; each rank gets the sum of its part    reduce-scatter
    norm           of all parts together, for clipping                           three numbers
    AdamW          of the rank's part, with its part of the moments              nothing
    parameters     each rank's part, to all                                      allgather

AdamW is elementwise: where the parts are cut changes no number. Moments take 1/N of the memory
(ZeRO, stage 1). Rank 0 leads: it alone has the loop and its files, and announces what all ranks do
together, see `ranked.follow`.

Source     Rajbhandari et al. 2019, arXiv 1910.02054
"""

from __future__ import annotations

import math
from bisect import bisect_right
from contextlib import contextmanager
from typing import Callable, Iterator, Mapping, Sequence

import numpy as np

from ..evaluation.text import Stopped
from ..machine.ranks import Ranks
from ..params import Params
from ..tape import Array

# parameters begin with a cache line, as they would in arrays of their own
_LINE = 64


class Team:
    """The ranks that train one state. What says so is called by all of them, or none goes on."""

    def __init__(self, ranks: Ranks, params: Params, trained: Sequence[str]) -> None:
        """Give all ranks rank 0's parameters; those of `trained` become views of one buffer.

        Called by all ranks, with names and shapes alike.
        """
        self.ranks = ranks
        self.asked: Callable[[], bool] = lambda: False
        """Whether this rank was asked to stop, by a signal."""
        self.stopping = False
        """Whether any rank was, as all ranks know."""
        kind = params[trained[0]].dtype
        align = _LINE // kind.itemsize
        self._names, self._starts, end = list(trained), list[int](), 0
        self._shapes = {name: params[name].shape for name in trained}
        for name in trained:
            self._starts.append(end)
            end += -(-params[name].size // align) * align
        self._flat = np.zeros(ranks.length(end), kind)
        for name, start in zip(trained, self._starts):
            view = self._flat[start:start + params[name].size].reshape(params[name].shape)
            view[...] = params[name]
            params[name] = view
        ranks.copy_from_0(self._flat)
        for name in sorted(params.keys() - self._shapes.keys()):
            ranks.copy_from_0(params[name])
        self.params = self._pieces(ranks.part(self._flat))
        """This rank's part of every trained parameter, flat, often empty; views of them."""
        self._sums = np.empty_like(ranks.part(self._flat))

    # arrays

    def rows(self, batch: int) -> range:
        """The sequences of a batch that this rank computes."""
        rank, size = self.ranks.rank, self.ranks.size
        return range(batch * rank // size, batch * (rank + 1) // size)

    def zeros(self) -> Params:
        """Moments of this rank's part before the first update."""
        return self._pieces(np.zeros_like(self._sums))

    def sum_gradients(self, grads: Mapping[str, Array]) -> Params:
        """This rank's part of the sum of all ranks' gradients; called by all.

        The next call overwrites it.
        """
        self.ranks.reduce_scatter(self._reader(grads), self._sums)
        return self._pieces(self._sums)

    def share_parameters(self) -> None:
        """Give all ranks every rank's part of the parameters; called by all."""
        self.ranks.gather(self._flat)

    def scatter(self, whole: Mapping[str, Array] | None) -> Params:
        """This rank's part of arrays like the parameters, which rank 0 has; called by all."""
        flat = None
        if whole is not None:
            flat = np.zeros_like(self._flat)
            self._reader(whole)(0, len(flat), flat)
        return self._pieces(self.ranks.scatter_from_0(flat, len(self._sums), self._sums.dtype))

    def gather(self, pieces: Mapping[str, Array]) -> Params:
        """All parts as arrays like the parameters, on rank 0; {} on the others. Called by all."""
        part = np.zeros_like(self._sums)
        for name, piece in self._pieces(part).items():
            piece[...] = pieces[name]
        flat = self.ranks.gather_at_0(part)
        return {} if flat is None else {
            name: flat[start:start + math.prod(shape)].reshape(shape)
            for (name, shape), start in zip(self._shapes.items(), self._starts)}

    def _pieces(self, part: Array) -> Params:
        """What of each parameter is in this rank's part (P,), as views."""
        first = self.ranks.rank * len(part)
        return {name: part[max(0, start - first):max(0, start + math.prod(shape) - first)]
                for (name, shape), start in zip(self._shapes.items(), self._starts)}

    def _reader(self, arrays: Mapping[str, Array]) -> Callable[[int, int, Array], None]:
        """What fills `out` with elements start .. stop of the flat buffer that `arrays` would be.

        What lies between two parameters stays as it is: nobody reads it.
        """
        flat = [np.ravel(arrays[name]) for name in self._names]

        def read(start: int, stop: int, out: Array) -> None:
            for i in range(max(0, bisect_right(self._starts, start) - 1), len(flat)):
                here = self._starts[i]
                if here >= stop:
                    return
                a, b = max(start, here), min(stop, here + flat[i].size)
                if a < b:
                    out[a - start:b - start] = flat[i][a - here:b - here]

        return read

    # what all do together

    def listen(self, asked: Callable[[], bool]) -> Callable[[], bool]:
        """Whether any rank was asked to stop; `asked` says it of this one."""
        self.asked = asked
        return lambda: self.stopping or asked()

    @contextmanager
    def command(self, *command: object) -> Iterator[None]:
        """In here all ranks do one thing: rank 0 announces it, and `ranked.follow` has them do it.
        """
        if self.ranks.rank == 0:
            self.ranks.broadcast({"do": command})
        self.ranks.busy = True
        try:
            yield
        except Stopped:         # on all ranks
            self.ranks.busy = False
            raise
        self.ranks.busy = False

    def total(self, loss: float, norm: float) -> tuple[float, float]:
        """The sum of all ranks' losses, and the norm of all parts of the gradient; called by all.

        Each rank also says here whether it was asked to stop.
        """
        found = self.ranks.numbers(loss, norm, self.asked())
        self.stopping |= bool(found[:, 2].any())
        return sum(found[:, 0].tolist()), math.hypot(*found[:, 1].tolist())

    def stopping_all(self, on_batch: Callable[[int], bool]) -> Callable[[int], bool]:
        """What stops an evaluation on all ranks as soon as `on_batch` does on one; for all."""
        def stops(seen: int) -> bool:
            found = self.ranks.numbers(on_batch(seen), self.asked())
            self.stopping |= bool(found[:, 1].any())
            return bool(found.any())

        return stops

    def first(self, found: str) -> str:
        """The first text that is not empty, with the rank that has it; called by all."""
        return next((f"{text} on {name}" for text, name in
                     zip(self.ranks.all(found), self.ranks.names) if text), "")
