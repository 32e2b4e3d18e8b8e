"""A small training run, undisturbed and disturbed, and what must hold after any disturbance."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npgpt.files import PARTIAL
from npgpt.params import Params
from npgpt.training.checkpoint import checkpoints, load_checkpoint
from npgpt.weights import CheckpointError

from ..stories import write_story
from .materials import TINY
from .nursery import Ended, Nursery, Plan
from .outcome import fault_of_command

# a run's lines that name how long something took
OF_THE_CLOCK = ("tokens_per_second", "watch_seconds")
STEPS = int(TINY["max_steps"])

Bits = tuple[bytes, ...]


def arguments(**changes: object) -> list[str]:
    """The command line of the run, but for the folders."""
    flags = []
    for name, value in {**TINY, **changes}.items():
        flags += [f"--{name.replace('_', '-')}", str(value)]
    return ["train", "--corpus", "story.txt", "--out", "run", *flags]


RESUME = ["train", "--resume", "run"]


def bits(folder: Path) -> Bits:
    """All numbers of a checkpoint; raises CheckpointError if it cannot be read."""
    state = load_checkpoint(folder)
    return tuple(_bits(params) for params in (state.params, state.mean, state.square))


def _bits(params: Params) -> bytes:
    return b"".join(params[name].tobytes() for name in sorted(params))


@dataclass(frozen=True)
class Reference:
    """The undisturbed run: its numbers after every step, its log, its result, its events."""

    arguments: list[str]
    keep: int
    every: int
    """Its settings keep_checkpoints and checkpoint_every."""
    after: dict[str, Bits]
    """By the name of the checkpoint."""
    log: list[dict[str, Any]]
    result: Any
    events: list[str]


def reference(nursery: Nursery, scratch: Path, **changes: object) -> Reference:
    """Train without disturbance."""
    given = arguments(**changes)
    folder = fresh(scratch, "reference")
    kept = nursery.run([*given, "--keep-checkpoints", "99", "--checkpoint-every", "1"], folder)
    if kept.code:
        raise RuntimeError(f"the undisturbed run fails: {kept.err}")
    after = {path.name: bits(path) for path in checkpoints(folder / "run")}
    folder = fresh(scratch, "reference")
    ended = nursery.run(given, folder)
    run = folder / "run"
    settings = {**TINY, **changes}
    keep, every = (int(str(settings[name])) for name in ("keep_checkpoints", "checkpoint_every"))
    return Reference(given, keep, every, after, log_of(run), result_of(run), ended.events)


def fresh(scratch: Path, name: str) -> Path:
    """An empty folder with the story."""
    folder = scratch / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_story(folder)
    return folder


def log_of(run: Path) -> list[dict[str, Any]]:
    """The log's records, without what the clock decides."""
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    # a line on how long probing took comes only where it took long
    return [{key: value for key, value in json.loads(line).items() if key not in OF_THE_CLOCK}
            for line in lines if "watch_share" not in json.loads(line)]


def result_of(run: Path) -> Any:
    """What result.json holds."""
    return json.loads((run / "result.json").read_text(encoding="utf-8"))


def fault_at_rest(run: Path, expected: Reference) -> str:
    """What is wrong with a run's folder after a disturbance: a half checkpoint, or a lost one."""
    found = checkpoints(run)
    for place in found:
        try:
            if bits(place) != expected.after.get(place.name):
                return "a checkpoint has other numbers than the undisturbed run's"
        except (CheckpointError, OSError) as error:
            return f"half a checkpoint under its final name ({type(error).__name__})"
    steps = [int(place.name.removeprefix("step-")) for place in found]
    if expected.every == 1 and steps != list(range(steps[0], steps[-1] + 1) if steps else []):
        return f"checkpoints are missing: {steps}"
    if steps and steps[0] > 0 and len(steps) < expected.keep:
        return f"an older checkpoint is lost: {steps}"
    logged = _steps_logged(run)
    if logged and (steps[-1] if steps else -expected.every) < max(logged) - expected.every:
        return f"the log is at step {max(logged)}, the newest checkpoint at {steps[-1:]}"
    return ""


def _steps_logged(run: Path) -> list[int]:
    """The steps of a log whose last line may be torn."""
    found = []
    path = run / "log.jsonl"
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line)["step"])
            except ValueError:
                break
    return found


def fault_of_resuming(nursery: Nursery, folder: Path, expected: Reference) -> str:
    """What is wrong with how a disturbed run goes on to its end, if anything."""
    run = folder / "run"
    begun = checkpoints(run) or (run / "config.toml").is_file()
    ended = nursery.run(RESUME if begun else expected.arguments, folder)
    fault = fault_of_command(ended.code, ended.err, (0,))
    return f"on resuming: {fault}" if fault else fault_at_the_end(run, expected)


def fault_at_the_end(
    run: Path, expected: Reference, older: bool = True, clean: bool = True
) -> str:
    """What is wrong with a run that has ended; without `older`, its newest checkpoint counts.

    Without `clean`, partial files may be there: the removal itself may be what failed.
    """
    if older and (fault := fault_at_rest(run, expected)):
        return f"at the end: {fault}"
    newest = checkpoints(run)[-1]
    if newest.name != max(expected.after):
        return f"the run ends at {newest.name}"
    if bits(newest) != expected.after[newest.name]:
        return "the run ends with other numbers"
    if log_of(run) != expected.log:
        return "the log is not that of the undisturbed run"
    if result_of(run) != expected.result:
        return "the result is not that of the undisturbed run"
    left = [path.name for path in run.rglob(f"{PARTIAL}*")]
    return f"left behind: {left[0].split('-', 2)[-1]}" if left and clean else ""


def disturbed(
    nursery: Nursery, folder: Path, expected: Reference, plan: Plan, allowed: tuple[int, ...]
) -> tuple[Ended, str]:
    """Train with a disturbance, and resume; how the first ended, and what is wrong."""
    ended = nursery.run(expected.arguments, folder, plan)
    fault = fault_of_command(ended.code, ended.err, allowed)
    fault = fault or fault_at_rest(folder / "run", expected)
    return ended, fault or fault_of_resuming(nursery, folder, expected)
