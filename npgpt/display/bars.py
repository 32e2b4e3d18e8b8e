"""Progress bars: tqdm's, in a terminal and in a notebook; elsewhere there is none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from tqdm import tqdm


def progress_bar(**settings: Any) -> tqdm[NoReturn]:
    """A bar with tqdm's settings, disabled where it would write into a file or a pipe."""
    # imported for the first bar: most commands show none, and it takes a tenth of their start
    from tqdm import tqdm

    kind = tqdm
    # asked of tqdm only within a kernel: it takes a tenth of a second to find that there is none
    if "ipykernel" in sys.modules:
        from tqdm import auto

        kind = auto.tqdm
    return kind(**{"file": sys.stderr, "disable": None, **settings})
