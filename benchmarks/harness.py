"""Does lm-evaluation-harness find the same with npgpt as with transformers?

    python -m benchmarks.harness            writes benchmarks/results/harness.json

It needs the extra `harness`. The tasks, the model and transformers' numbers are those of
tests/evaluation/test_harness.py: nothing is downloaded.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, Iterator

from npgpt.evaluation.harness import Harness
from npgpt.text import BPETokenizer
from tests.evaluation.harness_model import harness_model
from tests.evaluation.make_harness_golden import GOLDEN, answers

RESULTS = Path(__file__).parent / "results" / "harness.json"


def compared(ours: Any, theirs: Any) -> Iterator[tuple[Any, Any]]:
    """The single numbers and texts of two answers, side by side."""
    if isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs):
            yield from compared(one, other)
    else:
        yield ours, theirs


def main() -> None:
    """Run the tasks, compare, write the file."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    ours = answers(Harness(harness_model(), BPETokenizer()))
    tasks = {}
    for task, theirs in golden["answers"].items():
        pairs = list(compared(ours["answers"][task], theirs))
        numbers = [(a, b) for a, b in pairs if type(a) is float]
        others = [(a, b) for a, b in pairs if type(a) is not float]
        tasks[task] = {
            "npgpt": ours["metrics"][task], "transformers": golden["metrics"][task],
            "log_likelihoods": len(numbers),
            "largest_relative_difference": max(
                (abs(a - b) / abs(b) for a, b in numbers), default=None),
            "texts_and_greedy_flags": len(others),
            "of_them_equal": sum(a == b for a, b in others),
        }
    content = {"npgpt_with": {name: version(name) for name in ("numpy", "lm_eval")},
               "transformers_with": golden["made_with"], "tasks": tasks}
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for task, found in tasks.items():
        difference = found["largest_relative_difference"]
        print(f"{task:18} {found['log_likelihoods']:3} log-likelihoods"
              + (f" within {difference:.0e}" if difference is not None else "")
              + f", {found['of_them_equal']} of {found['texts_and_greedy_flags']} texts and flags "
              f"equal")


if __name__ == "__main__":
    main()
