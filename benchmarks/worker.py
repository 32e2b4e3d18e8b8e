"""One contestant in a process of its own: prepares one piece of work, then does it on request.

    python -m benchmarks.worker npgpt_gpt '{"work": "train", "size": "recipe"}'

Speaks JSON lines: prints {"ready": true} when prepared; answers every line `run` with the seconds
of one repetition, and `quit` with its peak memory. A failure is one line, {"error": ...}. A waiting
contestant takes no processor time, so contestants can alternate.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from typing import Any

from .children import helpers_peak

# every repetition is a fresh process, which reports its own memory
OWN_PROCESSES = ("fresh", "llama_cpp", "llm_c")


def main() -> int:
    """Prepare, then serve the lines of stdin."""
    side, job = sys.argv[1], json.loads(sys.argv[2])
    try:
        prepared = contestant(side).prepare(**job)
        if side not in OWN_PROCESSES:
            # the first time does not count: compilation, page faults, caches
            prepared()
    except (ImportError, OSError, RuntimeError) as error:
        _answer({"error": str(error) or type(error).__name__})
        return 1
    _answer({"ready": True})
    for line in sys.stdin:
        if line.strip() == "quit":
            _answer({"peak_bytes": _peak_bytes(side)})
            return 0
        started = time.perf_counter()
        try:
            extra = prepared()
        except (OSError, RuntimeError) as error:
            _answer({"error": str(error) or type(error).__name__})
            return 1
        _answer({"seconds": time.perf_counter() - started, "extra": extra})
    return 0


def contestant(side: str) -> Any:
    """The module in sides/ of that name."""
    if side.startswith("npgpt"):
        # before NumPy, as on the command line
        importlib.import_module("benchmarks.tuned")
    return importlib.import_module(f"benchmarks.sides.{side}")


def _peak_bytes(side: str) -> int:
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    # npgpt's workers compute; PyTorch's children only compile, and are not counted
    return own + helpers_peak() if side.startswith("npgpt") else own


def _answer(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    sys.exit(main())
