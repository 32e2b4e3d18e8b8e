"""Work that begins with a fresh process: imports, a first token, a whole training run.

Memory is that of the process that does the work.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Callable

from ..children import Ended, run_python, scratch_folder

ITERATIONS = 2000
# written by a process of its own: a child's peak memory is never below its parent's
_SAVE = {
    "npgpt": (
        "import sys; from npgpt import GPT2, GPT2Config;"
        "GPT2.init(GPT2Config.named('gpt2')).save(sys.argv[1])"
    ),
    "transformers": (
        "import sys; from transformers import GPT2Config, GPT2LMHeadModel;"
        "GPT2LMHeadModel(GPT2Config()).save_pretrained(sys.argv[1])"
    ),
}
_FIRST_TOKEN = {
    "npgpt": (
        "import sys; from npgpt import GPT2; import numpy as np;"
        "GPT2.load(sys.argv[1]).generate(np.arange(5), 1, temperature=0.0)"
    ),
    "transformers": (
        "import sys, torch; from transformers import GPT2LMHeadModel;"
        "model = GPT2LMHeadModel.from_pretrained(sys.argv[1]).eval();"
        "ids = torch.arange(5)[None];"
        "model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=1,"
        " do_sample=False, pad_token_id=0)"
    ),
}
# the corpus as nanoGPT's data preparation leaves it: uint16 files, and the vocabulary's size
_WRITE_TOKENS = (
    "import sys, pathlib; from npgpt.text import CorpusError, load_corpus\n"
    "try: corpus = load_corpus('shakespeare', 'char', 0.1)\n"
    "except CorpusError as error: sys.exit(str(error))\n"
    "folder = pathlib.Path(sys.argv[1])\n"
    "corpus.train.astype('<u2').tofile(folder / 'train.bin')\n"
    "corpus.val.astype('<u2').tofile(folder / 'val.bin')\n"
    "print(corpus.tokenizer.vocab_size)"
)


def prepare(work: str, package: str, **settings: Any) -> Callable[[], Any]:
    """A callable that does one repetition of the work in a process of its own."""
    works = {"import": _import, "first_token": _first_token, "loop": _loop}
    return works[work](package, **settings)


def _import(package: str) -> Callable[[], Any]:
    # npgpt finds its names lazily: importing the package alone would load nothing to compare
    code = "from npgpt import GPT2" if package == "npgpt" else f"import {package}"
    return lambda: _measured(run_python("-c", code))


def _first_token(package: str) -> Callable[[], Any]:
    folder = str(scratch_folder())
    run_python("-c", _SAVE[package], folder)
    return lambda: _measured(run_python("-c", _FIRST_TOKEN[package], folder))


def _loop(package: str, iterations: int = ITERATIONS) -> Callable[[], Any]:
    # both find their tokens prepared; without network and text, this fails with one clear line
    tokens = str(scratch_folder())
    vocab_size = run_python("-c", _WRITE_TOKENS, tokens).out.strip()

    def once() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            if package == "npgpt":
                ended = run_python("-m", "npgpt", "train", "--preset", "shakespeare-char",
                                   "--max-steps", str(iterations), "--out", str(out),
                                   # nanoGPT's loop writes no samples
                                   "--sample-every", "0")
                written = out / "result.json"
                result = (json.loads(written.read_text(encoding="utf-8"))
                          if written.exists() else {})
            else:
                ended = run_python("-m", "benchmarks.sides.torch_loop", str(iterations),
                                   tokens, vocab_size, str(out))
                result = json.loads(ended.out.splitlines()[-1])
            return {**_measured(ended), **{k: v for k, v in result.items() if k == "val_loss"}}

    return once


def _measured(ended: Ended) -> dict[str, Any]:
    return {"seconds": ended.seconds, "peak_bytes": ended.peak_bytes}
