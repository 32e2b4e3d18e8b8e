"""Training over ranks: each computes its rows of a batch, and updates its part of the parameters.

The trained parameters lie in one flat buffer of buckets. A bucket is some whole parameters; it is
divided into equal slices, one a rank, whatever the borders of the parameters. A rank's part of the
buffer is its slice of every bucket:

    gradients      of the rank's own rows; each rank gets the sum of its part    reduce-scatter
    norm           of all parts together, for clipping                           three numbers
    AdamW          of the rank's part, with its part of the moments              nothing
    parameters     each rank's part, to all                                      allgather

Buckets come in the order in which backward finishes them, the last block first, the embedding last.
Between machines a thread sums each bucket as soon as it is finished, while backward computes the
next; on one machine that was measured to lose, and they are summed after backward. So is what fits
into one bucket, since beside small models it lost too. The calls and their order are the same, and
so are the bits.

AdamW is elementwise: where the parts are cut changes no number. Moments take 1/N of the memory
(ZeRO, stage 1). Rank 0 leads: it alone has the loop and its files, and announces what all ranks do
together, see `ranked.follow`.

Source     Rajbhandari et al. 2019, arXiv 1910.02054
"""

from __future__ import annotations

import math
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Callable, Iterator, Mapping, NamedTuple, Sequence

import numpy as np

from ..evaluation.text import Stopped
from ..machine.ranks import BUCKET, LEAST, Ranks
from ..params import Params
from ..tape import Array

# parameters begin with a cache line, as they would in arrays of their own
_LINE = 64


class Bucket(NamedTuple):
    """Some whole parameters, one behind another in the flat buffer, and divided among the ranks."""

    names: list[str]
    start: int
    size: int
    """A multiple of the number of ranks."""


class Team:
    """The ranks that train one state. What says so is called by all of them, or none goes on."""

    def __init__(self, ranks: Ranks, params: Params, trained: Sequence[str],
                 overlap: bool | None = None) -> None:
        """Give all ranks rank 0's parameters; those of `trained` become views of one buffer.

        `overlap`: whether gradients are summed while backward still runs; by default between
        machines, where that was measured to help. Called by all ranks, with names and shapes alike.
        """
        self.ranks = ranks
        self.asked: Callable[[], bool] = lambda: False
        """Whether this rank was asked to stop, by a signal."""
        self.stopping = False
        """Whether any rank was, as all ranks know."""
        kind = params[trained[0]].dtype
        self._shapes = {name: params[name].shape for name in trained}
        self._lay_out(_LINE // kind.itemsize)
        self._flat = np.zeros(sum(bucket.size for bucket in self._buckets), kind)
        for name, start in self._starts.items():
            view = self._flat[start:start + params[name].size].reshape(params[name].shape)
            view[...] = params[name]
            params[name] = view
        ranks.copy_from_0(self._flat)
        for name in sorted(params.keys() - self._shapes.keys()):
            ranks.copy_from_0(params[name])
        self.params = {name: self._flat[self._buckets[i].start + ranks.rank * each + lo:][:hi - lo]
                       for name, (i, each, lo, hi) in self._pieces.items()}
        """This rank's part of every trained parameter, flat, often empty; views of them."""
        self._sums = np.empty(len(self._flat) // ranks.size, kind)
        if overlap is None:
            overlap = len({*ranks.hosts}) > 1
        self.on_final = self._final if overlap else None
        """Called with the name and the gradient of what backward has finished, if that helps."""
        self._finished: Params = {}
        self._sent: list[Future[None]] = []
        self._beside = ThreadPoolExecutor(1, "npgpt-sums")

    # arrays

    def rows(self, batch: int) -> range:
        """The sequences of a batch that this rank computes."""
        rank, size = self.ranks.rank, self.ranks.size
        return range(batch * rank // size, batch * (rank + 1) // size)

    def zeros(self) -> Params:
        """Moments of this rank's part before the first update."""
        return self._cut(np.zeros_like(self._sums))

    def sum_gradients(self, grads: Mapping[str, Array]) -> Params:
        """This rank's part of the sum of all ranks' gradients; called by all.

        The next call overwrites it. What `on_final` had is being summed already.
        """
        for sent in self._sent:
            sent.result()
        for i in range(len(self._sent), len(self._buckets)):
            self._sum(i, grads)
        self._sent.clear()
        self._finished.clear()
        return self._cut(self._sums)

    def _final(self, name: str, grad: Array) -> None:
        # at most one thread calls MPI at a time: backward itself does not
        self._finished[name] = grad
        # all ranks send the buckets in one order, whichever is complete first; nothing is left to
        # compute beside the last
        while (i := len(self._sent)) < len(self._buckets) - 1 and all(
                name in self._finished for name in self._buckets[i].names):
            self._sent.append(self._beside.submit(self._sum, i, self._finished, True))

    def _sum(self, i: int, grads: Mapping[str, Array], aside: bool = False) -> None:
        self.ranks.reduce_scatter(self._reader(grads, i), self._mine(self._sums, i), aside=aside)

    def share_parameters(self) -> None:
        """Give all ranks every rank's part of the parameters; called by all."""
        for bucket in self._buckets:
            self.ranks.gather(self._flat[bucket.start:bucket.start + bucket.size])

    def scatter(self, whole: Mapping[str, Array] | None) -> Params:
        """This rank's part of arrays like the parameters, which rank 0 has; called by all."""
        flat = None
        if whole is not None:
            flat = np.zeros_like(self._flat)
            for i, bucket in enumerate(self._buckets):
                buffer = np.zeros(bucket.size, flat.dtype)
                self._reader(whole, i)(0, bucket.size, buffer)
                for part, mine in zip(np.split(flat, self.ranks.size),
                                      np.split(buffer, self.ranks.size)):
                    self._mine(part, i)[...] = mine
        return self._cut(self.ranks.scatter_from_0(flat, len(self._sums), self._sums.dtype))

    def gather(self, pieces: Mapping[str, Array]) -> Params:
        """All parts as arrays like the parameters, on rank 0; {} on the others. Called by all."""
        part = np.zeros_like(self._sums)
        for name, piece in self._cut(part).items():
            piece[...] = pieces[name]
        flat = self.ranks.gather_at_0(part)
        if flat is None:
            return {}
        whole = np.concatenate([self._mine(part, i) for i in range(len(self._buckets))
                                for part in np.split(flat, self.ranks.size)])
        return {name: whole[start:start + math.prod(shape)].reshape(shape)
                for name, shape in self._shapes.items() for start in [self._starts[name]]}

    # buckets

    def _lay_out(self, align: int) -> None:
        """Where every parameter is in the flat buffer, and what of it is this rank's.

        In the order in which backward finishes them: the last layers first.
        """
        size = self.ranks.size
        self._starts, self._buckets = dict[str, int](), list[Bucket]()
        names, start, end = list[str](), 0, 0
        for left, name in zip(range(len(self._shapes) - 1, -1, -1), reversed(self._shapes)):
            names.append(name)
            self._starts[name] = end
            end += -(-math.prod(self._shapes[name]) // align) * align
            if end - start >= max(BUCKET, size * LEAST) or not left:
                end = start + self.ranks.length(end - start)
                self._buckets.append(Bucket(names, start, end - start))
                names, start = [], end
        self._pieces = {}
        for i, bucket in enumerate(self._buckets):
            each = bucket.size // size
            first = bucket.start + self.ranks.rank * each
            for name in bucket.names:
                begin = self._starts[name] - first
                stop = begin + math.prod(self._shapes[name])
                self._pieces[name] = i, each, min(max(0, begin), each), min(max(0, stop), each)

    def _mine(self, part: Array, i: int) -> Array:
        """Bucket i of a rank's part (P,): a view."""
        bucket, size = self._buckets[i], self.ranks.size
        return part[bucket.start // size:(bucket.start + bucket.size) // size]

    def _cut(self, part: Array) -> Params:
        """What of each parameter is in this rank's part (P,), as views."""
        return {name: self._mine(part, self._pieces[name][0])[slice(*self._pieces[name][2:])]
                for name in self._shapes}

    def _reader(self, arrays: Mapping[str, Array], i: int) -> Callable[[int, int, Array], None]:
        """What fills `out` with elements start .. stop of bucket i, were it filled from `arrays`.

        What lies between two parameters stays as it is: nobody reads it.
        """
        bucket = self._buckets[i]
        flat = [(self._starts[name] - bucket.start, np.ravel(arrays[name]))
                for name in bucket.names]

        def read(start: int, stop: int, out: Array) -> None:
            for here, array in flat:
                a, b = max(start, here), min(stop, here + array.size)
                if a < b:
                    out[a - start:b - start] = array[a - here:b - here]

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
