"""Models by name: where they lie on this machine, and how they come here.

    folder = found("distilgpt2")    # in transformers' cache, or placed by hand; None if nowhere
    folder = pull("org/name")       # the same, downloaded by huggingface_hub if need be

HF_HOME and HF_HUB_CACHE name another cache, HF_ENDPOINT another server, HF_HUB_OFFLINE=1 forbids
the network: they are huggingface_hub's own, which npgpt leaves all downloading to.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..config import SIZES
from ..suggest import one_line
from .checksums import sha256
from .configs import CONFIG
from .errors import CheckpointError, bad_file
from .huggingface import INDEX, WEIGHTS, read_config

NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
# whose some names without an owner are
OWNERS = {**dict.fromkeys(SIZES, "openai-community"), "distilgpt2": "distilbert"}
# the files that npgpt reads; never a pickle
FILES = (CONFIG, WEIGHTS, INDEX, "model-*.safetensors", "generation_config.json",
         "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt",
         "added_tokens.json", "special_tokens_map.json")
# what the publisher has, fixed, so that the numbers are always the same
REVISIONS = {
    "gpt2": "607a30d783dfa663caf39e06633721c8d4cfcd7e",
    "gpt2-medium": "6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
    "gpt2-large": "32b71b12589c2f8d625668d2335a01cac3249519",
    "gpt2-xl": "15ea56dee5df4983c59b2538573817e1667135e2",
}
SHA256 = {
    "gpt2": "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707",
    "gpt2-xl": "0f8b28eb05a8075f48b61b6f35332978c74fc7763fa9fb4051a1c30511736a6a",
}


def hf_home() -> Path:
    """HF_HOME, or the default of Hugging Face's own tools."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or f"{caches}/huggingface").expanduser()


def own_folder(name: str) -> Path:
    """Where a model's files may be placed by hand, to be found by its name."""
    return hf_home() / "npgpt" / name


def found(name: str) -> Path | None:
    """The folder with the weights of the model of that name on this machine; else None."""
    if not NAME.fullmatch(name):
        return None
    hub = Path(os.environ.get("HF_HUB_CACHE") or hf_home() / "hub").expanduser()
    places = [own_folder(name)]
    for repository in (_repository(name), name):
        model = hub / f"models--{repository.replace('/', '--')}"
        main = model / "refs" / "main"
        snapshots = model / "snapshots"
        # the revision that transformers would take, then any other
        if main.is_file():
            places.append(snapshots / main.read_text(encoding="ascii", errors="replace").strip())
        places += sorted(snapshots.glob("*"))
    return next((place for place in places if _has_weights(place)), None)


def pull(name: str, folder: Path | str | None = None) -> Path:
    """The folder of a model by its name; downloaded if it is nowhere yet.

    It is downloaded into transformers' cache, or into `folder`. Raises ValueError for what is no
    name, CheckpointError for a model that is not a GPT-2 or has no safetensors, and OSError or
    ImportError with one line of advice if nothing can be downloaded.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a model's name; expected one such as gpt2 or org/name")
    here = Path(folder) if folder is not None else found(name)
    if here is not None and _has_weights(here):
        return here
    try:
        import huggingface_hub
    except ImportError:
        raise ImportError(f"downloading {name} needs huggingface_hub: python -m pip install "
                          f"'npgpt[hub]'; or {_by_hand(name)}", name="huggingface_hub") from None
    repository, revision = _repository(name), REVISIONS.get(name)
    try:
        # first what the model is: its weights may be gigabytes
        read_config(Path(huggingface_hub.hf_hub_download(repository, CONFIG, revision=revision,
                                                         local_dir=folder)))
        place = Path(huggingface_hub.snapshot_download(
            repository, revision=revision, allow_patterns=list(FILES), local_dir=folder))
    except (CheckpointError, KeyboardInterrupt):
        raise
    except Exception as error:      # the library's, and those of three libraries below it
        reason = one_line(str(error)).partition(". Please")[0][:200] or type(error).__name__
        raise OSError(f"{name} cannot be downloaded ({reason}); {_by_hand(name)}") from error
    if not _has_weights(place):
        raise bad_file(place, f"{name} has no {WEIGHTS}; npgpt opens no pickle: load it with "
                              "transformers and save it again")
    _check_sha256(name, place)
    return place


def _repository(name: str) -> str:
    return f"{OWNERS[name]}/{name}" if name in OWNERS else name


def _has_weights(folder: Path) -> bool:
    return any((folder / file).is_file() for file in (WEIGHTS, INDEX))


def _by_hand(name: str) -> str:
    return (f"place {WEIGHTS} and {CONFIG} of huggingface.co/{_repository(name)} in "
            f"{own_folder(name)} by hand")


def _check_sha256(name: str, folder: Path) -> None:
    """Raise CheckpointError if a published file is not what it should be."""
    file = folder / WEIGHTS
    if name in SHA256 and (digest := sha256(file)) != SHA256[name]:
        raise bad_file(file, f"is not {name}: expected sha256 {SHA256[name]}, got {digest}; "
                             "delete it and pull again")
