"""A tiny study of seconds, and results to report without running anything."""

import functools
import os
from types import SimpleNamespace

import numpy as np
import pytest

from npgpt.lab import runner
from npgpt.lab.folder import runs_of
from npgpt.lab.runner import run_study
from npgpt.lab.study import read_study

from ..stories import write_story

TOML = """
[study]
name = "tiny"
title = "A tiny study"
question = "Does it < run > & end?"
seeds = [1, 2]

[base.data]
corpus = "CORPUS"
[base.model]
n_layer = 2
n_head = 2
n_embd = 16
n_positions = 8
embd_pdrop = 0.1
[base.train]
max_steps = 12
batch_size = 2
warmup_steps = 2
eval_every = 6
eval_batches = 2
checkpoint_every = 3
watch = "entropy"
watch_every = 6

[axes]
"model.norm" = ["layernorm", "none"]

[[arm]]
name = "hot"
train = { learning_rate = 1e39, warmup_steps = 0 }

[paper]
"layernorm" = "softmax + LayerNorm + GELU"
"none" = "softmax + GELU"

[[compare]]
arm = "none"
against = "layernorm"
claim = "higher"
"""


class Report:
    """A reporter that collects what is reported."""

    def __init__(self):
        self.starts, self.ends, self.steps = [], [], []
        self.readied = False

    def ready(self):
        self.readied = True

    def started(self, run, step):
        self.starts.append((run.name, step))

    def finished(self, run, status):
        self.ends.append((run.name, status))

    def going(self, runs, steps, total_steps):
        assert 0 <= steps <= total_steps
        self.steps.append(steps)


@pytest.fixture(scope="session", autouse=True)
def impatient():
    """Runs of a few steps are asked more often whether they have ended."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "_POLL_SECONDS", 0.01)
        yield


@pytest.fixture
def toml(tmp_path, monkeypatch):
    """The text of a tiny study on a text of its own; numbers of threads as in a study."""
    monkeypatch.setenv("NPGPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return toml_in(tmp_path)


def toml_in(folder):
    """The text of the tiny study, on a story in that folder."""
    return TOML.replace("CORPUS", str(write_story(folder)).replace(os.sep, "/"))


def written(folder, text):
    """The study of that text, from tiny.toml in that folder."""
    (folder / "tiny.toml").write_text(text, encoding="utf-8")
    return read_study(folder / "tiny.toml")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The tiny study, run to its end with three runs at a time: for tests that only look."""
    home = tmp_path_factory.mktemp("finished")
    study, report = written(home, toml_in(home)), Report()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NPGPT_CACHE", str(home / "cache"))
        outcome = run_study(home / "out", study, report, jobs=3)
    return SimpleNamespace(folder=home / "out", study=study, report=report, outcome=outcome)


@pytest.fixture
def write_study(tmp_path):
    """A function that writes a study's text and reads it."""

    return functools.partial(written, tmp_path)


@pytest.fixture
def study(toml, write_study):
    """The tiny study."""
    return write_study(toml)


@pytest.fixture
def runs(tmp_path, study):
    """Its runs, in a folder where nothing has run."""
    return runs_of(tmp_path / "out", study)


def results_of(losses, diverged=(), entropies=None, claim="lower", paper=True, seeds=0):
    """A results.json of arms a and b, with the losses {arm: [by seed]}; T = 4, 2 layers, 2 heads.

    `diverged` are (arm, seed); `entropies` {arm: (2, 2) in nats}.
    """
    seeds = list(range(1, 1 + max(seeds, *map(len, losses.values()))))
    rows = {"a": "softmax + GELU", "b": "softmax + ReLU"}
    runs = []
    for seed in seeds:
        for arm, found in losses.items():
            broken = (arm, seed) in diverged
            done = seed <= len(found) and not broken
            nats = (entropies or {}).get(arm)
            runs.append({
                "arm": arm, "seed": seed,
                "status": "diverged" if broken else "done" if done else "waiting",
                "step": 7 if broken else 20 if done else 0, "max_steps": 20,
                "val_loss": found[seed - 1] if done else None,
                "perplexity": float(np.exp(found[seed - 1])) if done else None,
                "diverged_at": 7 if broken else None, "said": "loss nan" if broken else "",
                "seconds": 60.0, "parameters": 1000, "slopes": {},
                "val": [[0, 3.0], [10, 2.5], [20, 2.0]], "train": [[1, 3.0]],
                "entropy": None if nats is None else {
                    "bound": float(np.log(24) / 4), "steps": [0, 20], "nats": [nats, nats],
                    "sink": [[[0.1, 0.2], [0.3, 0.4]]] * 2, "nan": [0, 0]},
            })
    return {
        "study": {"name": "pair", "title": "A pair", "question": "Is b better?", "seeds": seeds,
                  "text": "[study]\nname = \"pair\"\n",
                  "arms": [{"name": arm, "slug": arm, "changes": {},
                            "paper": rows.get(arm) if paper else None} for arm in losses],
                  "compare": [{"arm": "b", "against": "a", "claim": claim}]},
        "settings": {"data": {}, "model": {"n_layer": 2, "n_embd": 8, "n_positions": 4},
                     "train": {"max_steps": 20, "batch_size": 2, "grad_accumulation": 1,
                               "sequence_length": 0, "threads": 1}},
        "made_with": [{"npgpt": "0", "numpy": "2", "python": "3", "system": "Linux",
                       "processor": "a processor", "cores": 2}],
        "corpus": {"name": "story", "held_back_tokens": 100, "train_tokens": 900,
                   "vocabulary": 30, "unigram": 2.5},
        "complete": all(run["status"] != "waiting" for run in runs), "runs": runs,
    }
