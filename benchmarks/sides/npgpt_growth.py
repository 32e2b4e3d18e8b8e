"""npgpt's side where work grows: a token at a length, a corpus, a gradient check."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, Callable

import numpy as np

from npgpt import GPT2Config
from npgpt.gradcheck import check
from npgpt.layers.layernorm import layernorm_backward, layernorm_forward
from npgpt.params import init_params
from npgpt.text import load_corpus
from npgpt.text.named import python_docs
from npgpt.text.sources import read_text

from ..children import scratch_folder

# tokens of a repetition, and channels of the normalised rows
TOKENS, ROW = 16, 64
# the text of a corpus, made once and read by every contestant
MADE = Path(tempfile.gettempdir()) / f"npgpt-bench-corpus-{os.getuid()}"


def prepare(work: str, **settings: Any) -> Callable[[], Any]:
    """A callable that does one repetition of the work."""
    return {"decode": _decode, "corpus": _corpus, "gradcheck": _gradcheck}[work](**settings)


def _decode(config: dict[str, int], length: int) -> Callable[[], Any]:
    from npgpt.generation.fast_reader import FastReader

    made = GPT2Config.from_dict(config)
    reader = FastReader(init_params(made), made, 1, length)
    ids = np.random.default_rng(0).integers(0, made.vocab_size, (1, length))
    reader.read([0], ids[:, :-TOKENS])

    def once() -> dict[str, int]:
        for i in range(TOKENS):
            reader.read([0], ids[:, length - TOKENS + i:][:, :1])
        reader.cut(0, length - TOKENS)
        return {"per": TOKENS}

    return once


def _corpus(megabytes: int) -> Callable[[], Any]:
    path = corpus_text(megabytes)

    def once() -> dict[str, int]:
        # a folder of its own: tokens that are stored there are not made again
        corpus = load_corpus(path, "gpt2", cache_dir=scratch_folder())
        tokens = corpus.n_tokens
        assert corpus.path is not None
        corpus.path.unlink()
        return {"per": 1, "tokens": tokens}

    return once


def corpus_text(megabytes: int) -> Path:
    """A file of so many million bytes: Python's documentation, again and again."""
    path = MADE.with_suffix(f".{megabytes}.txt")
    size = megabytes * 10**6
    if not path.exists() or path.stat().st_size != size:
        text = "\n".join("".join(read_text(doc)) for doc in python_docs().documents)
        # ASCII: cut anywhere it is UTF-8
        data = text.encode("ascii", errors="replace")
        beside = path.with_suffix(f".{os.getpid()}")
        with beside.open("wb") as file:
            for start in range(0, size, len(data)):
                file.write(data[:size - start])
        os.replace(beside, path)
    return path


def remove_corpora() -> None:
    """Remove the files that corpus_text made."""
    for path in MADE.parent.glob(MADE.name + ".*"):
        path.unlink(missing_ok=True)


def _gradcheck(elements: int) -> Callable[[], Any]:
    rng = np.random.default_rng(0)
    inputs = (rng.standard_normal((elements // ROW, ROW)), rng.standard_normal(ROW),
              rng.standard_normal(ROW))

    def once() -> None:
        report = check(layernorm_forward, layernorm_backward, *inputs, eps=1e-5)
        if not report.ok:
            raise RuntimeError(f"a right gradient was called wrong: {report}")

    return once
