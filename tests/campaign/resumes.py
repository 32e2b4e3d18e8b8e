"""Resumes: runs of every kind of setting, stopped after each step and resumed, end alike.

Each run is stopped once at every step, and once at all of them, so that no two steps are computed
by one process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

from npgpt.training.checkpoint import checkpoints

from .kills import moments
from .nursery import Nursery, Plan
from .outcome import Outcome, fault_of_command
from .runs import RESUME, STEPS, Reference, fault_at_rest, fault_of_resuming, fresh, reference

DROPOUT = {"resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1}
SETTINGS: dict[str, dict[str, object]] = {
    "as the other runs here": {},
    "dropout": DROPOUT,
    "gradient accumulation and dropout": {"grad_accumulation": 3, **DROPOUT},
    "float64": {"dtype": "float64"},
    "everything is watched": {
        "watch": "entropy,gradients,activations,updates", "watch_every": 2},
    "decay that ends early, no clipping": {"decay_steps": 3, "grad_clip": 0},
    "checkpoints every third step": {"checkpoint_every": 3},
    "one checkpoint is kept": {"keep_checkpoints": 1},
    "no norms, ReLU": {"norm": "none", "activation_function": "relu"},
    "SwiGLU": {"activation_function": "swiglu"},
    "GPT-2's tokens": {"tokenizer": "gpt2"},
    "two threads": {"threads": 2},
}


def run(count: int, scratch: Path) -> Iterator[Outcome]:
    """At most `count` steps of each kind of run; of three times as many kinds, if not of all."""
    with Nursery() as nursery:
        for name, changes in list(SETTINGS.items())[:3 * count]:
            expected = reference(nursery, scratch, **changes)
            for step in moments(STEPS, count):
                folder = fresh(scratch, "stopped")
                fault = _stopped(nursery, folder, expected, step, expected.arguments)
                fault = fault or fault_of_resuming(nursery, folder, expected)
                yield Outcome(name, f"stopped after step {step - 1}", fault)
            yield Outcome(name, "stopped after each step",
                          _stopped_always(nursery, scratch, expected))


def _stopped(
    nursery: Nursery, folder: Path, expected: Reference, step: int, arguments: list[str]
) -> str:
    """Train, and press Ctrl-C while step `step` begins; what is wrong with how that ends."""
    # the log's line of the step before was written; a run with no line yet is in its beginning
    ended = nursery.run(arguments, folder, Plan(step, "SIGINT", "fsync run/log.jsonl"))
    return (fault_of_command(ended.code, ended.err, (0, 130))
            or fault_at_rest(folder / "run", expected))


def _stopped_always(nursery: Nursery, scratch: Path, expected: Reference) -> str:
    folder = fresh(scratch, "stopped")
    fault = _stopped(nursery, folder, expected, 1, expected.arguments)
    for _ in range(STEPS):
        before = checkpoints(folder / "run")[-1:]
        if fault or not before or before[0].name == max(expected.after):
            break
        fault = _stopped(nursery, folder, expected, 1, RESUME)
        if not fault and checkpoints(folder / "run")[-1:] == before:
            fault = "a run that is stopped after one step makes no progress"
    return fault or fault_of_resuming(nursery, folder, expected)
