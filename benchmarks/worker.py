"""One contestant in a process of its own: prepares one piece of work, then does it on request.

    python -m benchmarks.worker npgpt_gpt '{"work": "train", "size": "recipe"}'

Speaks JSON lines: says {"ready": true} when prepared; answers every line `run` with the seconds of
one repetition, and `quit` with its peak memory. A contestant that waits takes no processor time,
so that contestants can alternate.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time


def main() -> int:
    side, job = sys.argv[1], json.loads(sys.argv[2])
    contestant = importlib.import_module(f"benchmarks.sides.{side}")
    prepared = contestant.prepare(**job)
    if side != "fresh":
        # the first time is no measure: compilation, page faults, caches
        prepared()
    _say({"ready": True})
    for line in sys.stdin:
        if line.strip() == "quit":
            _say({"peak_bytes": _peak_bytes()})
            return 0
        started = time.perf_counter()
        extra = prepared()
        _say({"seconds": time.perf_counter() - started, "extra": extra})
    return 0


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _say(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    sys.exit(main())
