"""Results: everything that a report needs, gathered from a study's folder into results.json.

Non-finite numbers are text ("nan", "inf"), as in a run's log; `number` reads both.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Sequence, TypedDict

import numpy as np

from ..training.checkpoint import read_model
from ..training.log import plain, read_log
from ..weights import CheckpointError
from .folder import (
    ABOUT_FILE,
    STUDY_FILE,
    CorpusFacts,
    Machine,
    Run,
    read_json,
    runs_of,
    write_json,
)
from .study import Settings, read_study

RESULTS_FILE = "results.json"
# a training curve is thinned to so many means
POINTS = 120

Number = float | str | None
"""A number of results.json: text where it is not finite, None where there is none."""
Curve = Sequence[tuple[int, Number]]
"""(step, value), oldest first."""


class ArmRecord(TypedDict):
    """An arm of the study's file."""

    name: str
    slug: str
    paper: str | None
    changes: Settings


class PairRecord(TypedDict):
    """A comparison of the study's file."""

    arm: str
    against: str
    claim: str | None


class StudyRecord(TypedDict):
    """The study's file, read and as text."""

    name: str
    title: str
    question: str
    seeds: list[int]
    text: str
    arms: list[ArmRecord]
    compare: list[PairRecord]


class EntropyRecord(TypedDict):
    """Attention entropy at the watched steps of a run."""

    bound: Number
    steps: list[int]
    nats: list[list[list[Number]]]
    """[step][layer][head]; `sink` likewise."""
    sink: list[list[list[Number]] | None]
    nan: list[int]


class RunRecord(TypedDict):
    """What one run has written so far."""

    arm: str
    seed: int
    status: str
    """As of `Run.status`."""
    step: int
    max_steps: int
    val_loss: Number
    perplexity: Number
    diverged_at: int | None
    said: str
    seconds: float
    val: Curve
    train: list[list[float]]
    entropy: EntropyRecord | None
    parameters: int | None
    slopes: dict[str, float]


class Results(TypedDict):
    """The content of results.json."""

    study: StudyRecord
    settings: Settings
    made_with: list[Machine]
    corpus: CorpusFacts
    complete: bool
    runs: list[RunRecord]


def write_results(folder: Path) -> Results:
    """Write FOLDER/results.json from what the runs have written so far, and return its content."""
    study = read_study(folder / STUDY_FILE)
    runs = runs_of(folder, study)
    about = read_json(folder / ABOUT_FILE)
    records = [_run(run) for run in runs]
    results: Results = plain({
        "study": {
            "name": study.name, "title": study.title, "question": study.question,
            "seeds": list(study.seeds), "text": study.text,
            "arms": [{**vars(arm), "slug": arm.slug} for arm in study.arms],
            "compare": [vars(pair) for pair in study.compare],
        },
        "settings": runs[0].config.to_dict(),
        "made_with": about.get("made_with", []),
        "corpus": about.get("corpus", {}),
        "complete": all(record["status"] in ("done", "diverged") for record in records),
        "runs": records,
    })
    write_json(folder / RESULTS_FILE, results)
    return results


def load_results(path: Path) -> Results:
    """The results of a study's folder, gathered anew, or of a results file.

    Raises ValueError for anything else.
    """
    if (path / STUDY_FILE).is_file():
        return write_results(path)
    found: Results = read_json(path if path.is_file() else path / RESULTS_FILE)
    if not found:
        raise ValueError(f"{path} is neither a study's folder nor a results file; "
                         f"npgpt lab run writes one")
    missing = [key for key in Results.__required_keys__ if key not in found]
    if missing:
        raise ValueError(f"{path} does not hold results of npgpt lab run: no {missing[0]}")
    return found


def number(value: Number) -> float:
    """A number of results.json: text becomes NaN or infinity, None becomes NaN."""
    return math.nan if value is None else float(value)


def _run(run: Run) -> RunRecord:
    log, ending, status = read_log(run.place), run.ending(), run.status()
    result = run.result()
    val_loss = number(result.get("val_loss"))
    perplexity = math.inf if val_loss > 700 else math.exp(val_loss)
    step = log[-1]["step"] if log else 0
    parameters, slopes = _learnt(run)
    return {
        "arm": run.arm.name, "seed": run.seed, "status": status,
        "step": step, "max_steps": run.config.train.max_steps,
        "val_loss": val_loss if result else None,
        "perplexity": perplexity if result else None,
        # the step that could not be applied, or the one whose parameters could not be saved
        "diverged_at": step if status == "diverged" else None,
        "said": ending.get("said", ""),
        "seconds": ending.get("seconds", 0.0),
        "val": [(r["step"], number(r["val"])) for r in log if "val" in r],
        "train": _thinned([(r["step"], number(r["loss"])) for r in log if "loss" in r]),
        "entropy": _entropy(log), "parameters": parameters, "slopes": slopes,
    }


def _entropy(log: list[dict[str, Any]]) -> EntropyRecord | None:
    watched = [(r["step"], r["watch"]["entropy"]) for r in log
               if isinstance(r.get("watch"), dict) and "entropy" in r["watch"]]
    if not watched:
        return None
    return {
        "bound": number(watched[-1][1]["bound"]),
        "steps": [step for step, _ in watched],
        "nats": [seen["nats"] for _, seen in watched],
        "sink": [seen.get("sink") for _, seen in watched],
        "nan": [seen.get("nan", 0) for _, seen in watched],
    }


def _thinned(curve: list[tuple[int, float]]) -> list[list[float]]:
    """Means over POINTS stretches of a curve, each at the middle of its steps."""
    if not curve:
        return []
    stretches = np.array_split(np.array(curve, dtype=float), min(POINTS, len(curve)))
    return [[float(f"{mean:.6g}") for mean in stretch.mean(axis=0)] for stretch in stretches]


def _learnt(run: Run) -> tuple[int | None, dict[str, float]]:
    """Number of parameters, and the learnt slopes, of the newest checkpoint."""
    try:
        _, params, _ = read_model(run.place)
    except (CheckpointError, OSError):
        return None, {}
    slopes = {name: float(np.asarray(array).reshape(-1)[0])
              for name, array in params.items() if name.endswith("mlp.act.slope")}
    return sum(int(array.size) for array in params.values()), slopes
