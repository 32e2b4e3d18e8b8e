"""Results: everything that a report needs, gathered from a study's folder into results.json.

Non-finite numbers are text ("nan", "inf"), as in a run's log; `number` reads both.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Sequence, TypedDict

import numpy as np

from ..documents import Json, check_type, read_json
from ..suggest import shown
from ..training.checkpoint import read_model
from ..training.log import Number, plain, read_log
from ..weights import CheckpointError
from .folder import (
    ABOUT_FILE,
    STUDY_FILE,
    About,
    CorpusFacts,
    Machine,
    Run,
    Status,
    read_record,
    runs_of,
    write_json,
)
from .paper import ROWS
from .statistics import exp
from .study import Settings, read_study

RESULTS_FILE = "results.json"
# the entropies of all heads at all watched steps: of a large study hundreds of megabytes
LARGEST = 2**30
# a training curve is thinned to so many means
POINTS = 120

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
    status: Status
    step: int
    max_steps: int
    val_loss: Number
    perplexity: Number
    diverged_at: int | None
    said: str
    seconds: float
    val: Curve
    train: Sequence[Sequence[Number]]
    entropy: EntropyRecord | None
    parameters: int | None
    slopes: dict[str, float]


class ModelScale(TypedDict):
    """What a report says of the model; the table has all of its settings."""

    n_layer: int
    n_embd: int
    n_positions: int


class TrainScale(TypedDict):
    """What a report says of training; the table has all of its settings."""

    max_steps: int
    batch_size: int
    grad_accumulation: int
    sequence_length: int
    threads: int


class SettingsRecord(TypedDict):
    """The settings of the first arm's first run."""

    model: ModelScale
    train: TrainScale


class Results(TypedDict):
    """The content of results.json."""

    study: StudyRecord
    settings: SettingsRecord
    made_with: list[Machine]
    corpus: CorpusFacts
    complete: bool
    runs: list[RunRecord]


def write_results(folder: Path) -> Results:
    """Write FOLDER/results.json from what the runs have written so far, and return its content."""
    study = read_study(folder / STUDY_FILE)
    runs = runs_of(folder, study)
    about = read_record(folder / ABOUT_FILE, About)
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
    if (path / STUDY_FILE).exists():
        return write_results(path)
    file = path / RESULTS_FILE if path.is_dir() else path
    if not file.exists():
        raise ValueError(f"{path} is neither a study's folder nor a results file; "
                         f"npgpt lab run writes one")
    found = check_type(read_json(file, most=LARGEST), Results, file)
    try:
        _check_results(found)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    return found


def _check_results(found: Results) -> None:
    """Raise ValueError unless the names are those of the arms, and entropies can be averaged."""
    arms = [arm["name"] for arm in found["study"]["arms"]]
    if not arms:
        raise ValueError("study.arms is empty")
    for arm in found["study"]["arms"]:
        if arm["paper"] is not None and arm["paper"] not in ROWS:
            raise ValueError(f"unknown row of the paper {shown(arm['paper'])}")
    named = [pair[key] for pair in found["study"]["compare"] for key in ("arm", "against")]
    for name in named + [run["arm"] for run in found["runs"]]:
        if name not in arms:
            raise ValueError(f"unknown arm {shown(name)}; expected one of {', '.join(arms)}")
    shapes: dict[str, tuple[int, ...]] = {}
    for run in found["runs"]:
        if run["entropy"]:
            nats, sinks = run["entropy"]["nats"], run["entropy"]["sink"]
            measured = [heads for heads in [*nats, *sinks] if heads is not None]
            widths = {tuple(len(layer) for layer in heads) for heads in measured}
            shape = shapes.setdefault(run["arm"], next(iter(widths), ()))
            if (widths != {shape} or not shape or len(set(shape)) > 1 or 0 in shape
                    or not len(run["entropy"]["steps"]) == len(nats) == len(sinks)):
                raise ValueError(f"the entropies of arm {shown(run['arm'])} are not all [L][H], "
                                 "one for each step")


def number(value: Number) -> float:
    """A number of results.json: text becomes NaN or infinity, None becomes NaN."""
    return math.nan if value is None else float(value)


def _run(run: Run) -> RunRecord:
    log, ending, status = read_log(run.place), run.ending(), run.status()
    result = run.result()
    val_loss = number(result.get("val_loss"))
    step = log[-1]["step"] if log else 0
    parameters, slopes = _learnt(run)
    return {
        "arm": run.arm.name, "seed": run.seed, "status": status,
        "step": step, "max_steps": run.config.train.max_steps,
        "val_loss": val_loss if result else None,
        "perplexity": exp(val_loss) if result else None,
        # the step that could not be applied, or the one whose parameters could not be saved
        "diverged_at": step if status == "diverged" else None,
        "said": ending.get("said", ""),
        "seconds": ending.get("seconds", 0.0),
        "val": [(r["step"], number(r["val"])) for r in log if "val" in r],
        "train": _thinned([(r["step"], number(r["loss"])) for r in log if "loss" in r]),
        "entropy": _entropy(log), "parameters": parameters, "slopes": slopes,
    }


def _entropy(log: list[Json]) -> EntropyRecord | None:
    watched = [(r["step"], r["watch"]["entropy"]) for r in log
               if "entropy" in r.get("watch", ())]
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
