"""llama.cpp's side of prefill and decode, by its own program llama-bench.

Every repetition is a process of its own that warms up and then measures itself; loading is not
counted.
"""

from __future__ import annotations

import json
import os
from typing import Any, Callable

from npgpt import GPT2Config

from ..children import run_child, scratch_folder
from ..gguf import write_gguf


def prepare(work: str, tokens: int, kind: str, program: str) -> Callable[[], Any]:
    """A callable that does one repetition; kind is f32 or q8_0, work is prefill or decode."""
    model = scratch_folder() / f"gpt2-{kind}.gguf"
    write_gguf(model, GPT2Config.named("gpt2"), kind)
    read, written = (tokens, 0) if work == "prefill" else (0, tokens)
    threads = len(os.sched_getaffinity(0))
    arguments = [program, "-m", str(model), "-p", str(read), "-n", str(written), "-r", "1",
                 "-t", str(threads), "-b", "1024", "-ub", "1024", "-o", "json"]

    def once() -> dict[str, Any]:
        ended = run_child(arguments)
        [result] = json.loads(ended.out)
        return {"seconds": result["samples_ns"][0] / 1e9, "per": written or 1,
                "peak_bytes": ended.peak_bytes, "version": str(result.get("build_commit"))}

    return once
