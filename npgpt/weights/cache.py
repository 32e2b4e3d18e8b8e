"""Where pulled weights are stored: in Hugging Face's cache folder, HF_HOME."""

from __future__ import annotations

import os
from pathlib import Path

WEIGHTS = "model.safetensors"


def hf_home() -> Path:
    """HF_HOME, or the default of Hugging Face's own tools."""
    given = os.environ.get("HF_HOME")
    if given:
        return Path(given).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches).expanduser() if caches else Path.home() / ".cache") / "huggingface"


def own_folder(name: str) -> Path:
    """The folder that `npgpt pull` fills for a published size."""
    return hf_home() / "npgpt" / name


def cached(name: str) -> Path | None:
    """The folder with a published size, pulled by npgpt or by transformers; else None."""
    own = own_folder(name)
    if (own / WEIGHTS).is_file():
        return own
    given = os.environ.get("HF_HUB_CACHE")
    hub = Path(given).expanduser() if given else hf_home() / "hub"
    for repository in (f"models--openai-community--{name}", f"models--{name}"):
        for weights in sorted((hub / repository / "snapshots").glob(f"*/{WEIGHTS}")):
            if weights.is_file():
                return weights.parent
    return None
