"""A text of our own to learn, and small runs on it."""

import json

import numpy as np
import pytest

from npgpt.text import load_corpus
from npgpt.training.loop import Reporter, new_state
from npgpt.training.settings import resolve

SMALL = {
    "n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 8, "batch_size": 3,
    "max_steps": 12, "warmup_steps": 2, "eval_every": 5, "eval_batches": 2, "sample_every": 6,
    "sample_tokens": 5, "checkpoint_every": 4, "grad_accumulation": 2,
    "resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1,
}


class Silent(Reporter):
    """A reporter that collects what it is given."""

    def __init__(self):
        self.records, self.samples, self.notes = [], [], []

    def step(self, record):
        self.records.append(dict(record))

    def sample(self, step, text):
        self.samples.append((step, text))

    def note(self, text):
        self.notes.append(text)

    def evaluating(self, seen, total):
        assert 0 < seen <= total


def without_checksums(checkpoint):
    """Make a checkpoint what the version before checksums wrote; returns it."""
    (checkpoint / "checksums.json").unlink()
    record = json.loads((checkpoint / "run.json").read_text())
    assert record.pop("checksums") == "checksums.json"
    (checkpoint / "run.json").write_text(json.dumps(record, indent=1) + "\n")
    return checkpoint


@pytest.fixture
def text_file(tmp_path):
    """A few thousand characters with structure: words of a small vocabulary."""
    rng = np.random.default_rng(0)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "looked", "at", "the", "dog"]
    lines = [" ".join(rng.choice(words, size=6)) for _ in range(120)]
    path = tmp_path / "story.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def corpus(text_file, tmp_path):
    return load_corpus(str(text_file), "char", 0.1, cache_dir=tmp_path / "cache")


@pytest.fixture
def start(text_file, corpus):
    """A function that gives a fresh state of a small run, with settings changed."""

    def fresh(**changes):
        run = resolve(None, None, {**SMALL, "corpus": str(text_file), **changes})
        return new_state(run, corpus)

    return fresh
