"""What the process is asked for: threads, BLAS and the allocator.

Nothing here acts on import. A program calls `tune()` once, best before NumPy is imported; the
command line does so. A library leaves that to the program it is part of.
"""

from __future__ import annotations

import os
import sys

from .malloc import keep_freed_memory

# OpenBLAS's threads wait in a spin when they are out of work: by default for 2^26 cycles, some
# 25 ms, in which they share the cores with our own threads. 2^22 cycles, some 1.5 ms, still bridge
# the gaps within a token. Measured on 124M: one token 20.6 ms against 21.6, two at once 38.7
# against 69.5, speculative decoding 15.9 a token against 19.5
_SPIN = "22"


def tune(threads: int | None = None) -> None:
    """Set up the whole process for speed; README.md in this folder has the gains, measured.

    OpenBLAS's idle threads stop spinning after 1.5 ms (where NumPy is not loaded yet and
    OPENBLAS_THREAD_TIMEOUT is not set), glibc keeps freed memory, and `threads`, unless None, is
    how many threads npgpt and BLAS use where nothing else is asked for. Calling it again is
    harmless. Raises ValueError for `threads` below 1.
    """
    if "numpy" not in sys.modules:
        os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", _SPIN)
    keep_freed_memory()
    if threads is not None:
        # loads NumPy, so not before the environment is set
        from .threads import set_default

        set_default(threads)
