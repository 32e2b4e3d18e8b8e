"""Results: everything that a report needs, gathered from a study's folder into results.json.

Non-finite numbers are text ("nan", "inf"), as in a run's log; `number` reads both.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..training.checkpoint import checkpoints
from ..training.log import read_log
from ..weights import CheckpointError
from ..weights.safetensors_file import read_arrays
from .folder import ABOUT_FILE, STUDY_FILE, Run, read_json, runs_of, write_json
from .study import read_study

RESULTS_FILE = "results.json"
# a training curve is kept as so many means
POINTS = 120


def write_results(folder: Path) -> dict[str, Any]:
    """Gather, write FOLDER/results.json, and return it; works at any moment of a study."""
    results = gather(folder)
    write_json(folder / RESULTS_FILE, results)
    return results


def load_results(path: Path) -> dict[str, Any]:
    """The results of a study's folder, gathered anew, or of a results file.

    Raises ValueError for what is neither.
    """
    if (path / STUDY_FILE).is_file():
        return write_results(path)
    found = read_json(path if path.is_file() else path / RESULTS_FILE)
    if not found:
        raise ValueError(f"{path} is no folder of a study and no results file; "
                         f"npgpt lab run writes one")
    if not {"study", "made_with", "corpus", "runs", "settings"} <= found.keys():
        raise ValueError(f"{path} holds no results of npgpt lab run")
    return found


def gather(folder: Path) -> dict[str, Any]:
    """The content of results.json, from what the runs have written so far."""
    study = read_study(folder / STUDY_FILE)
    runs = runs_of(folder, study)
    about = read_json(folder / ABOUT_FILE)
    told = [_run(run) for run in runs]
    return _plain({
        "study": {
            "name": study.name, "title": study.title, "question": study.question,
            "seeds": list(study.seeds), "text": study.text,
            "arms": [{"name": arm.name, "slug": arm.slug, "paper": arm.paper,
                      "changes": arm.changes} for arm in study.arms],
            "compare": [{"arm": pair.arm, "against": pair.against, "claim": pair.claim}
                        for pair in study.compare],
        },
        "settings": runs[0].config.to_dict(),
        "made_with": about.get("made_with", []),
        "corpus": about.get("corpus", {}),
        "complete": all(run["status"] in ("done", "diverged") for run in told),
        "runs": told,
    })


def number(value: Any) -> float:
    """A number of results.json: text becomes NaN or infinity, None becomes NaN."""
    return math.nan if value is None else float(value)


def _run(run: Run) -> dict[str, Any]:
    log, ending, status = read_log(run.place), run.ending(), run.status()
    result = run.result()
    val_loss = number(result.get("val_loss"))
    step = log[-1]["step"] if log else 0
    return {
        "arm": run.arm.name, "seed": run.seed, "status": status,
        "step": step, "max_steps": run.max_steps,
        "val_loss": val_loss if result else None,
        "perplexity": _perplexity(val_loss) if result else None,
        # the step that could not be applied, or the one whose parameters could not be saved
        "diverged_at": step if status == "diverged" else None,
        "said": ending.get("said", ""),
        "seconds": ending.get("seconds", 0.0),
        "val": [[r["step"], number(r["val"])] for r in log if "val" in r],
        "train": _thinned([(r["step"], number(r["loss"])) for r in log if "loss" in r]),
        "entropy": _entropy(log),
        **_learnt(run),
    }


def _perplexity(loss: float) -> float:
    return math.exp(loss) if loss < 700 else math.inf if loss > 0 else math.nan


def _entropy(log: list[dict[str, Any]]) -> dict[str, Any] | None:
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
    """Means of as many stretches as POINTS, each at the middle of its steps."""
    if not curve:
        return []
    stretches = np.array_split(np.array(curve, dtype=float), min(POINTS, len(curve)))
    return [[float(f"{part[:, 0].mean():.6g}"), float(f"{part[:, 1].mean():.6g}")]
            for part in stretches]


def _learnt(run: Run) -> dict[str, Any]:
    """Number of parameters and the learnt slopes of the newest checkpoint."""
    whole = checkpoints(run.place)
    if not whole:
        return {"parameters": None, "slopes": {}}
    try:
        params = read_arrays(whole[-1] / "model.safetensors")
    except (CheckpointError, OSError):
        return {"parameters": None, "slopes": {}}
    # a checkpoint has Hugging Face's names
    slopes = {name.removeprefix("transformer."): float(np.asarray(array).reshape(-1)[0])
              for name, array in params.items() if name.endswith("mlp.act.slope")}
    return {"parameters": sum(int(array.size) for array in params.values()), "slopes": slopes}


def _plain(value: Any) -> Any:
    """The same content as strict JSON can hold it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
