"""Models by name: where they lie on this machine, and how they come here.

    folder = found("distilgpt2")    # in transformers' cache, or placed by hand; None if nowhere
    folder = pull("org/name")       # the same, downloaded by huggingface_hub if need be

HF_HOME and HF_HUB_CACHE (or HUGGINGFACE_HUB_CACHE) name another cache, HF_ENDPOINT another server,
HF_HUB_OFFLINE=1 forbids the network: they are huggingface_hub's own, which npgpt leaves all
downloading to.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import warnings
from pathlib import Path

from ..config import SIZES
from ..documents import read_json
from ..files import creating_folder
from ..suggest import one_line
from ..text.pretrained import FOREIGN, MERGES, TOKENIZER, VOCAB
from .checksums import sha256
from .configs import CONFIG
from .errors import CheckpointError, bad_file
from .huggingface import INDEX, WEIGHTS, read_config

NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
# whose some names without an owner are
OWNERS = {**dict.fromkeys(SIZES, "openai-community"), "distilgpt2": "distilbert"}
TOKENIZER_FILES = (TOKENIZER, "tokenizer_config.json", VOCAB, MERGES, "added_tokens.json",
                   "special_tokens_map.json", *FOREIGN)
# the files that npgpt reads, or rejects by name; never a pickle
FILES = (CONFIG, WEIGHTS, INDEX, "model-*.safetensors", "generation_config.json", *TOKENIZER_FILES)
# what huggingface_hub and the libraries below it raise without a network
OFFLINE = ("ConnectError", "ConnectionError", "ConnectTimeout", "LocalEntryNotFoundError")
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


def _cache() -> Path:
    """transformers' own cache."""
    # the second is huggingface_hub's older name
    cache = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(cache or hf_home() / "hub").expanduser()


def names() -> list[str]:
    """The names of what lies in the caches, and of the published models that need no owner."""
    own = own_folder("")
    placed = [file.parent.relative_to(own).as_posix()
              for depth in ("*", "*/*") for file in own.glob(f"{depth}/{CONFIG}")]
    return [*placed, *OWNERS, *(folder.name.removeprefix("models--").replace("--", "/")
                                for folder in _cache().glob("models--*"))]


def found(name: str) -> Path | None:
    """The folder with all weights of the model of that name on this machine; else None."""
    return next((place for place in _places(name) if not _lacking_weights(place)), None)


def _places(name: str) -> list[Path]:
    """Where a model of that name may lie, the best place first."""
    if not NAME.fullmatch(name):
        return []
    places = [own_folder(name)]
    for repository in (_repository(name), name):
        model = _cache() / f"models--{repository.replace('/', '--')}"
        main = model / "refs" / "main"
        snapshots = model / "snapshots"
        # the revision that transformers would take, then any other
        if main.is_file():
            places.append(snapshots / main.read_text(encoding="ascii", errors="replace").strip())
        places += sorted(snapshots.glob("*"))
    return places


def pull(name: str, folder: Path | str | None = None) -> Path:
    """The folder of a model by its name; what is nowhere yet is downloaded.

    It is downloaded into transformers' cache, or copied from there or downloaded into `folder`.
    A tokenizer that is missing and cannot be had is a UserWarning. Raises ValueError for what is no
    name, CheckpointError for a model that is not a GPT-2 or has no safetensors, and OSError or
    ImportError with one line of advice if nothing can be downloaded.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a model's name; expected one such as gpt2 or org/name")
    target = None if folder is None else Path(folder)
    if target is not None and not _lacking_weights(target):
        return target
    here = found(name)
    if here is not None:
        # GPT-2's own tokenizer is npgpt's too
        if name not in SIZES and not _has_tokenizer(here):
            here = _with_tokenizer(name, here)
        return here if target is None else _copied(here, target)
    place = _download(name, FILES, REVISIONS.get(name), target)
    if lacking := _lacking_weights(place):
        # without a network the library may give what it has
        advice = f"without a network, {_by_hand(name).rpartition(': ')[2]}"
        if lacking == [WEIGHTS]:
            advice += "; if it is a pickle there: load it with transformers and save it again"
        raise bad_file(place, f"{name} came without {', '.join(lacking)}; {advice}")
    _check_sha256(name, place)
    return place


def _with_tokenizer(name: str, here: Path) -> Path:
    """The folder of a model with the tokenizer that it lacks, or a UserWarning that it has none."""
    try:
        # an own folder is no snapshot; of a snapshot, the same revision
        own = here == own_folder(name)
        place = _download(name, TOKENIZER_FILES, None if own else here.name, here if own else None)
        if not _lacking_weights(place):
            here = place
        reason = f"huggingface.co/{_repository(name)} has none that npgpt reads"
    except (ImportError, OSError) as error:
        reason = str(error)
    if not _has_tokenizer(here):
        warnings.warn(f"{here} lacks a tokenizer: {reason}", stacklevel=3)
    return here


def _download(name: str, files: tuple[str, ...], revision: str | None, folder: Path | None) -> Path:
    """The folder of a model's files, fetched by huggingface_hub; errors as for `pull`."""
    advice = _by_hand(name, files is TOKENIZER_FILES)
    try:
        import huggingface_hub
    except ImportError:
        raise ImportError(f"downloading {name} needs huggingface_hub: python -m pip install "
                          f"'npgpt[hub]'; or {advice}", name="huggingface_hub") from None
    fetch, snapshot = huggingface_hub.hf_hub_download, huggingface_hub.snapshot_download
    place = huggingface_hub.hf_hub_url(repository := _repository(name), CONFIG, revision=revision)
    # it warns of every retry, and the last one is raised
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        # asked once: without a network the library tries each download for half a minute
        huggingface_hub.get_hf_file_metadata(place)
        if files is FILES:
            # first what the model is: its weights may be gigabytes
            read_config(Path(fetch(repository, CONFIG, revision=revision, local_dir=folder)))
        return Path(snapshot(repository, revision=revision, allow_patterns=list(files),
                             local_dir=folder))
    except (CheckpointError, KeyboardInterrupt):
        raise
    except Exception as error:      # the library's, and those of three libraries below it
        raise OSError(f"{name} cannot be downloaded ({_reason(error)}); {advice}") from error
    finally:
        logger.setLevel(level)


def _reason(error: BaseException) -> str:
    each: BaseException | None = error
    while each is not None:
        if type(each).__name__ in OFFLINE:
            return "no connection to " + os.environ.get("HF_ENDPOINT", "huggingface.co")
        if type(each).__name__ == "OfflineModeIsEnabled":
            return "HF_HUB_OFFLINE forbids the network"
        each = each.__cause__ or each.__context__
    line = re.split(r"\. Please| For more information", one_line(str(error)))[0]
    return line[:200] or type(error).__name__


def _copied(here: Path, target: Path) -> Path:
    """A copy of the files that npgpt reads, whole or not at all."""
    files = sorted({file for pattern in FILES for file in here.glob(pattern) if file.is_file()})
    if target.exists():
        for file in files:
            shutil.copyfile(file, target / file.name)
    else:
        with creating_folder(target) as beside:
            for file in files:
                shutil.copyfile(file, beside / file.name)
    return target


def _repository(name: str) -> str:
    return f"{OWNERS[name]}/{name}" if name in OWNERS else name


def _lacking_weights(folder: Path) -> list[str]:
    """The files of weights that a folder lacks; [] if it has the one, or all shards of its index.
    """
    if (folder / WEIGHTS).is_file():
        return []
    if not (folder / INDEX).is_file():
        return [WEIGHTS]
    where = read_json(folder / INDEX, CheckpointError).get("weight_map")
    shards = {str(shard) for shard in where.values()} if isinstance(where, dict) else set()
    return sorted(shard for shard in shards if not (folder / shard).is_file())


def _has_tokenizer(folder: Path) -> bool:
    return (any((folder / file).is_file() for file in (TOKENIZER, VOCAB))
            or any(any(folder.glob(pattern)) for pattern in FOREIGN))


def _by_hand(name: str, tokenizer_alone: bool = False) -> str:
    """What to place where; of a model that lies there in part, what it lacks."""
    own = "" if name in SIZES else TOKENIZER
    files, place = [WEIGHTS, CONFIG, *([own] if own else [])], own_folder(name)
    part = ""
    for there in _places(name):
        lacking = [] if tokenizer_alone else _lacking_weights(there)
        if tokenizer_alone and not _lacking_weights(there):
            files, place = [TOKENIZER], there
            break
        if there.is_dir() and (lacking != [WEIGHTS] or (there / CONFIG).is_file()):
            part = f"{there} lacks {', '.join(lacking)}: "
            files, place = lacking, there
            break
    names = ", ".join(files[:-1]) + " and " * (len(files) > 1) + files[-1]
    return f"{part}place {names} of huggingface.co/{_repository(name)} in {place} by hand"


def _check_sha256(name: str, folder: Path) -> None:
    """Raise CheckpointError if a published file is not what it should be."""
    file = folder / WEIGHTS
    if name in SHA256 and (digest := sha256(file)) != SHA256[name]:
        raise bad_file(file, f"is not {name}: expected sha256 {SHA256[name]}, got {digest}; "
                             "delete it and pull again")
