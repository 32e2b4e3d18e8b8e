"""Are the cores free? Asked by what is quick only where every thread has a core to itself.

BLAS's threads wait for each other in a spin, and for a token there are fifty such meetings. Beside
other programs each may wait until the system gives the other thread its turn: 155 ms a token where
one thread took 33 (2 cores, four other programs). How often the system took the processor from us
says it, at no cost and in containers too.
"""

from __future__ import annotations

from typing import Callable

try:
    import resource
except ImportError:         # Windows
    resource = None  # type: ignore[assignment]

# times the processor may be taken from us within one piece of work, by the system's own business
OFTEN = 2
# pieces of work without more than that before the cores count as free: at first, and at most
FIRST_WAIT, LONGEST_WAIT = 4, 256


def preemptions() -> int:
    """How often the system took the processor from this process; 0 where it does not say."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw if resource is not None else 0


class Cores:
    """Whether the cores are free, judged anew before each of many equal pieces of work.

    At first they are taken to be. After a piece in which the processor was often taken away they
    are not, until `FIRST_WAIT` pieces went by without; each time that this was a mistake the wait
    is doubled.
    """

    def __init__(self, count: Callable[[], int] = preemptions) -> None:
        self._count = count
        self._seen = count()
        self._wait = self._quiet = FIRST_WAIT

    def free(self) -> bool:
        """Whether threads that spin should do the next piece; called before each."""
        before, self._seen = self._seen, self._count()
        if self._seen - before <= OFTEN:
            self._quiet += 1
        else:
            if self._quiet >= self._wait:
                self._wait = min(2 * self._wait, LONGEST_WAIT)
            self._quiet = 0
        if self._quiet >= self._wait + LONGEST_WAIT:
            self._wait = FIRST_WAIT
        return self._quiet >= self._wait
