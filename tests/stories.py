"""A text of our own, for whatever has to read or learn one."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_story(folder: Path, lines: int = 60) -> Path:
    """Write story.txt: lines of six words from a small vocabulary, always the same."""
    rng = np.random.default_rng(0)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "looked", "at", "dog"]
    path = folder / "story.txt"
    path.write_text("\n".join(" ".join(rng.choice(words, 6)) for _ in range(lines)) + "\n")
    return path
