"""Work that begins with a fresh process: imports, a first token, a whole training run."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable

ITERATIONS = 2000
_FIRST_TOKEN = {
    "npgpt": (
        "import sys, numpy as np; from npgpt import GPT2;"
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


def prepare(work: str, package: str, **settings: Any) -> Callable[[], Any]:
    """A callable that does one repetition of the work in a process of its own."""
    works = {"import": _import, "first_token": _first_token, "loop": _loop}
    return works[work](package, **settings)


def _import(package: str) -> Callable[[], Any]:
    return lambda: _python("-c", f"import {package}")


def _first_token(package: str) -> Callable[[], Any]:
    folder = tempfile.TemporaryDirectory()
    if package == "npgpt":
        from npgpt import GPT2, GPT2Config

        GPT2.init(GPT2Config.named("gpt2")).save(folder.name)
    else:
        from transformers import GPT2Config as TheirConfig
        from transformers import GPT2LMHeadModel

        GPT2LMHeadModel(TheirConfig()).save_pretrained(folder.name)

    def once() -> None:
        # the folder lives as long as this function
        _python("-c", _FIRST_TOKEN[package], folder.name)

    return once


def _loop(package: str, iterations: int = ITERATIONS) -> Callable[[], Any]:
    def once() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            if package == "npgpt":
                _python("-m", "npgpt", "train", "--preset", "shakespeare-char", "--corpus",
                        "python-docs", "--max-steps", str(iterations), "--out", str(out))
                return None
            return json.loads(_python("-m", "benchmarks.sides.torch_loop", str(iterations)))

    return once


def _python(*arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if result.returncode:
        raise RuntimeError(f"{' '.join(arguments[:3])}: {result.stderr.strip()[-500:]}")
    return result.stdout
