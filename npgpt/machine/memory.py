"""How much memory there is, asked before something is allocated that may not fit.

NumPy notices only what cannot be addressed. Anything smaller is promised by the system, and filled
until the machine hangs or kills the process.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path


def check_memory(needed: int, what: str) -> None:
    """Raise ValueError unless the machine has `needed` bytes of memory, swap included.

        check_memory(budget(config).training_bytes, "training this model")
    """
    there = _memory(Path("/"))
    if needed > there:
        raise ValueError(f"{what} needs {_gigabytes(needed)} of memory, this machine has "
                         f"{_gigabytes(int(there))}")


def _gigabytes(n: int) -> str:
    # an int: a careless zero too many may give more than a float can hold
    return f"{n / 2**30:,.1f} GiB" if n < 2**80 else "over a million GiB"


def _memory(root: Path) -> float:
    """Bytes of memory and swap, infinite where the system does not say."""
    try:
        text = (root / "proc/meminfo").read_text(encoding="utf-8")
        sizes = re.findall(r"^(?:MemTotal|SwapTotal):\s*(\d+) kB$", text, re.MULTILINE)
        return 1024 * sum(map(int, sizes)) or math.inf
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return math.inf
