"""The one way in: recognise the form of the weights at a path, and load them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..checked import checked
from ..config import SIZES, GPT2Config
from ..documents import open_regular
from ..params import Params
from . import book, huggingface, llmc, openai_tf, peft
from .checksums import check_crc32
from .configs import CONFIG
from .errors import CheckpointError, bad_file

FORMS = (
    "model.safetensors or its index (Hugging Face, or with the book's names), *.ckpt.index with "
    "hparams.json (OpenAI), a .bin of llm.c"
)
# a checkpoint of training has moments beside its weights, which are not weights
OPTIMIZER = "optimizer."


@checked
def load(
    path: Path | str, dtype: type | str | np.dtype | None = None
) -> tuple[GPT2Config, Params]:
    """Config and parameters from a folder or file of weights, whatever its form.

    `path` may also be the name of a published size, `gpt2` to `gpt2-xl`, that was pulled before.
    `dtype` is float32 or float64; None means the stored dtype, with half precision as float32.
    Parameters are mapped if the file allows it: they may be written to, the file does not change.
    A checkpoint of training is compared with its checksums first.
    Raises CheckpointError (one line, all mismatches at once), or OSError if it cannot be read.
    """
    file = file_at(path)
    check_crc32(file, file.with_name(CONFIG))
    return read(file, dtype)


def read(
    file: Path, dtype: type | str | np.dtype | None = None
) -> tuple[GPT2Config, Params]:
    """What `load` gives from a file that `file_at` found, for whoever compared the checksums."""
    if file.name.endswith(".index"):
        return openai_tf.load_openai_tf(file, dtype)
    if file.name == peft.ADAPTER:
        return peft.load_adapter(file, load, dtype)
    if file.name.endswith((".safetensors", ".safetensors.index.json")):
        tensors = huggingface.read_tensors(file)
        if all(name.startswith(("m.", "v.")) for name in tensors):
            raise bad_file(file, "contains AdamW's moments and no model; the model of a "
                                 f"checkpoint is its {huggingface.WEIGHTS}")
        if book.MARK in map(huggingface.bare, tensors):
            return book.load_book(file, huggingface.canonical(file, tensors), dtype)
        return huggingface.load_huggingface(file, tensors, dtype)
    with open_regular(file, CheckpointError) as opened:
        start = opened.read(4)
    if int.from_bytes(start, "little") in (llmc.MODEL_MAGIC, llmc.STATE_MAGIC):
        return llmc.load_llmc(file, dtype)
    what = "has an unknown format"
    if start[:2] == b"PK" or start[:1] == b"\x80":
        what = ("is a PyTorch pickle, which runs code when it is loaded; save it again with "
                "save_pretrained(..., safe_serialization=True)")
    raise bad_file(file, f"{what}; npgpt reads {FORMS}")


def file_at(given: Path | str) -> Path:
    """The file that `load` begins with: an index, a safetensors file, or the path itself."""
    path, name = Path(given), str(given)
    if path.is_dir():
        return _file_in(path, name)
    if path.exists():
        return path
    # TensorFlow names a checkpoint model.ckpt, although no file has that name
    index = path.with_name(path.name + ".index")
    if index.is_file():
        return index
    if name in SIZES:
        folder = cached(name)
        if folder is None:
            raise CheckpointError(f"{name} is not on this machine yet; run: npgpt pull {name}")
        return _file_in(folder)
    raise CheckpointError(f"{path}: no such file or folder")


def _file_in(folder: Path, given: str = "") -> Path:
    """The file of weights in a folder, which is not to hide the published size of its name."""
    for name in (huggingface.WEIGHTS, huggingface.INDEX):
        # whatever it is: what is not a file is rejected where it is opened
        if (folder / name).exists():
            return folder / name
    for pattern in ("*.safetensors.index.json", "*.safetensors", "*.index", "*.bin"):
        found = sorted(
            file for file in folder.glob(pattern)
            if not file.name.startswith((".", OPTIMIZER)) and file.is_file()
        )
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(file.name for file in found[:5])
            raise bad_file(folder, f"contains several models ({names}); name one of them")
    pulled = cached(given) if given in SIZES else None
    if pulled is not None:
        return _file_in(pulled)
    names = ", ".join(sorted(file.name for file in folder.iterdir())[:8])
    problems = [f"contains no weights ({names or 'it is empty'}); npgpt reads {FORMS}"]
    if given in SIZES:
        problems.append(f"for the published size run: npgpt pull {given}")
    raise bad_file(folder, *problems)


def hf_home() -> Path:
    """HF_HOME, or the default of Hugging Face's own tools: the folder of pulled weights."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or f"{caches}/huggingface").expanduser()


def own_folder(name: str) -> Path:
    """The folder that `npgpt pull` fills for a published size."""
    return hf_home() / "npgpt" / name


def cached(name: str) -> Path | None:
    """The folder with a published size, pulled by npgpt or by transformers; else None."""
    own = own_folder(name)
    if (own / huggingface.WEIGHTS).is_file():
        return own
    hub = Path(os.environ.get("HF_HUB_CACHE") or hf_home() / "hub").expanduser()
    for repository in (f"models--openai-community--{name}", f"models--{name}"):
        for weights in sorted((hub / repository / "snapshots").glob(f"*/{huggingface.WEIGHTS}")):
            if weights.is_file():
                return weights.parent
    return None
