"""The one way in: recognise the form of the weights at a path, and load them."""

from __future__ import annotations

import warnings
from itertools import islice
from pathlib import Path
from typing import Mapping

import numpy as np

from ..checked import checked
from ..config import SIZES, GPT2Config
from ..documents import open_regular
from ..params import Params
from ..suggest import did_you_mean
from ..tape import Array
from ..text import BPETokenizer, Tokenizer
from ..text.pretrained import read_tokenizer
from . import book, huggingface, llmc, openai_tf, peft
from .assemble import unread
from .checksums import check_crc32
from .configs import ALIKE, CONFIG
from .errors import CheckpointError, bad_file
from .hub import NAME, OWNERS, found, names, pull

FORMS = (
    "model.safetensors or its index (Hugging Face, or with the book's names), *.ckpt.index with "
    "hparams.json (OpenAI), a .bin of llm.c"
)
# a checkpoint of training has moments beside its weights, which are not weights
OPTIMIZER = "optimizer."
MODEL_ALONE = "GPT2.load reads the model without a tokenizer"
# what ends so is a file, whether it is there or not, and never a model's name
SUFFIXES = (".safetensors", ".bin", ".index", ".json", ".ckpt", ".toml", ".txt", ".pt", ".pth")


@checked
def load(
    path: Path | str, dtype: type | str | np.dtype | None = None, base: Path | str | None = None
) -> tuple[GPT2Config, Params]:
    """Config and parameters from a folder or file of weights, whatever its form.

    `path` may also be a model's name, such as distilgpt2 or org/name: it is read from transformers'
    cache if it lies there, else downloaded (npgpt.weights.hub).
    `dtype` is float32 or float64; None means the stored dtype, with half precision as float32.
    Parameters are mapped if the file allows it: they may be written to, the file does not change.
    A checkpoint of training is compared with its checksums first.
    `base` is where an adapter's base model is, if not where its adapter_config.json says.
    Raises CheckpointError (one line, all mismatches at once), or OSError if it cannot be read.
    """
    file = file_at(path)
    check_crc32(file, file.with_name(CONFIG))
    with peft.based_on(base, file):
        return read(file, dtype)


def load_unread(path: Path | str) -> tuple[GPT2Config, Mapping[str, Array]]:
    """As `load`, but of Hugging Face's form no parameter is held: each is read when asked for."""
    file = file_at(path)
    check_crc32(file, file.with_name(CONFIG))
    if file.name.endswith((".safetensors", ".safetensors.index.json")) and (
            file.name != peft.ADAPTER):
        tensors = huggingface.read_tensors(file, mapped=False)
        if huggingface.TABLE in (names := {huggingface.bare(name) for name in tensors}) or (
                huggingface.HEAD in names):
            config, found = huggingface.described(file, tensors)
            return config, unread(file, config, found)
    return read(file)


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


def file_at(given: Path | str, download: bool = True) -> Path:
    """The file that `load` begins with: an index, a safetensors file, or the path itself.

    Of a model's name, the file in the cache; one that is nowhere is downloaded, unless not wanted.
    """
    path, name = Path(given), str(given)
    if path.is_dir():
        return _file_in(path, name)
    if path.exists():
        return path
    # TensorFlow names a checkpoint model.ckpt, although no file has that name
    index = path.with_name(path.name + ".index")
    if index.is_file():
        return index
    # a name; but somewhere in a folder that exists, it is a path that is wrong
    named = NAME.fullmatch(name) and path.suffix not in SUFFIXES
    # a folder of the owner's name does not hide what was pulled
    if named and (pulled := found(name)) is not None:
        return _file_in(pulled)
    meant = did_you_mean(name, _near(path))
    # a published name is no mistake for another
    if named and not meant and name not in OWNERS:
        meant = did_you_mean(name, names(), ALIKE)
    if named and (path.parent == Path() or not path.parent.exists()):
        try:
            if not download:
                raise OSError(f"to download it, run: npgpt pull {name}")
            return _file_in(pull(name))
        except (ImportError, OSError) as error:
            raise CheckpointError(f"{name} is not a file, a folder or a pulled model on this "
                                  f"machine{meant}; {error}") from None
    advice = f"; for the model of that name run: npgpt pull {name}" if named and not meant else ""
    raise CheckpointError(f"{path}: no such file or folder{meant}{advice}")


def _near(path: Path) -> list[str]:
    """What lies where a path leads, by the names that it could have been given."""
    folder = path.parent
    places = folder.glob("*") if folder.is_dir() else Path().glob("*/*")
    return [str(place) for place in islice(places, 1000)]


def tokenizer_for(path: Path | str, config: GPT2Config) -> Tokenizer:
    """The tokenizer that lies with the weights that `load` reads at a path, or else GPT-2's.

    That it is GPT-2's for want of another is a UserWarning, unless the weights are those published
    under GPT-2's name. Raises CheckpointError for a tokenizer that npgpt does not have or that does
    not fit, and if there is none and the vocabulary is smaller than GPT-2's.
    """
    file = file_at(path)
    try:
        found = tokenizer_beside(file, config)
    except ValueError as error:
        raise CheckpointError(f"{error}; {MODEL_ALONE}") from None
    if found is not None:
        return found
    own = BPETokenizer()
    if config.vocab_size < own.vocab_size:
        raise CheckpointError(
            f"{path} brings no tokenizer, and its vocabulary of {config.vocab_size} is "
            f"smaller than GPT-2's {own.vocab_size}; place its tokenizer.json in {file.parent}; "
            f"{MODEL_ALONE}"
        )
    if not is_published(file):
        warnings.warn(f"{path} brings no tokenizer: GPT-2's own is used; place tokenizer.json "
                      "beside the weights for another", stacklevel=2)
    return BPETokenizer(vocab_size=config.vocab_size)


def base_at(path: Path | str) -> str:
    """Where the base model of an adapter is; "" for weights that are no adapter."""
    file = file_at(path)
    return peft.lasting(peft.base_of(file.parent)) if file.name == peft.ADAPTER else ""


def tokenizer_beside(file: Path, config: GPT2Config) -> Tokenizer | None:
    """The tokenizer that lies with a file of weights, or with an adapter's base; None for none.

    Raises ValueError for one that npgpt does not have or that does not fit.
    """
    found = read_tokenizer(file.parent, config.vocab_size)
    if found is None and file.name == peft.ADAPTER:
        return tokenizer_beside(file_at(peft.base_of(file.parent)), config)
    return found


def is_published(file: Path) -> bool:
    """Whether a file is a model that was found by one of GPT-2's four names, or its adapter."""
    if file.name == peft.ADAPTER:
        file = file_at(peft.base_of(file.parent))
    return any(file.parent == found(name) for name in SIZES)


def _file_in(folder: Path, given: str = "") -> Path:
    """The file of weights in a folder, which is not to hide the published size of its name."""
    for name in (huggingface.WEIGHTS, huggingface.INDEX):
        # whatever it is: what is not a file is rejected where it is opened
        if (folder / name).exists():
            return folder / name
    for pattern in ("*.safetensors.index.json", "*.safetensors", "*.index", "*.bin"):
        files = sorted(
            file for file in folder.glob(pattern)
            if not file.name.startswith((".", OPTIMIZER)) and file.is_file()
        )
        if len(files) == 1:
            return files[0]
        if files:
            names = ", ".join(file.name for file in files[:5])
            raise bad_file(folder, f"contains several models ({names}); name one of them")
    pulled = found(given)
    if pulled is not None and pulled.resolve() != folder.resolve():
        return _file_in(pulled)
    names = ", ".join(sorted(file.name for file in folder.iterdir())[:8])
    problems = [f"contains no weights ({names or 'it is empty'}); npgpt reads {FORMS}"]
    if given in OWNERS:
        problems.append(f"for the published model run: npgpt pull {given}")
    raise bad_file(folder, *problems)
