"""Which of two ways to do the same work is the quicker one here and now? Found by doing it.

BLAS's threads wait for each other in a spin, and for a token there are fifty such meetings. Beside
other programs each may wait until the system gives the other thread its turn: 155 ms a token where
one thread took 33 (2 cores, four other programs). Beside one program two threads are quicker all
the same, 22 ms against 31, though the system takes the processor from them as often. So it is
measured.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from typing import Callable, Iterator

# pieces of work by which a way is judged, and those that try the other way
RECENT, TRIAL = 4, 2
# pieces before the other way is tried: at first, and at most
FIRST_WAIT, LONGEST_WAIT = 4, 256
# the other way must take less than this fraction of the time
BETTER = 0.9


class Quicker:
    """Two ways to do each of many equal pieces of work, called True and False.

    The first pieces are done in the way True. Then the other way is tried for a few pieces, and
    kept if it is quicker; each time that it is not, the wait for the next trial is doubled.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.way = True
        self._clock = clock
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._trial: list[float] = []
        self._wait = self._left = FIRST_WAIT

    @contextmanager
    def piece(self) -> Iterator[bool]:
        """The way in which to do the next piece of work, which is done in here."""
        tried = self._left == 0
        start = self._clock()
        yield self.way is not tried
        seconds = self._clock() - start
        if not tried:
            self._recent.append(seconds)
            self._left -= 1
            return
        self._trial.append(seconds)
        if len(self._trial) < TRIAL:
            return
        if sum(self._trial) / TRIAL < BETTER * sum(self._recent) / len(self._recent):
            self.way, self._wait = not self.way, FIRST_WAIT
            self._recent.clear()
            self._recent.extend(self._trial)
        else:
            self._wait = min(2 * self._wait, LONGEST_WAIT)
        self._trial.clear()
        self._left = self._wait
