"""What the campaign damages: a small text, a run, a study, models in every form, packs, questions.

Everything is written by npgpt's own functions, and alike each time.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import numpy as np

from npgpt.config import GPT2Config
from npgpt.lab.folder import adopt, note_beginning, runs_of
from npgpt.lab.results import write_results
from npgpt.lab.study import read_study
from npgpt.packs import tiny_config, write_pack
from npgpt.params import Params, init_params
from npgpt.text import load_corpus
from npgpt.training.loop import Reporter, new_state, train
from npgpt.training.settings import RunConfig, resolve
from npgpt.weights import save, save_book, save_llmc

from ..stories import write_story

MEMORY = Path("/dev/shm")
GOLDEN = Path(__file__).parents[1] / "golden"
TINY = {
    "n_layer": 1, "n_head": 2, "n_embd": 8, "n_positions": 8, "batch_size": 2, "max_steps": 6,
    "warmup_steps": 1, "eval_every": 2, "eval_batches": 1, "sample_every": 3, "sample_tokens": 4,
    "checkpoint_every": 1, "keep_checkpoints": 2, "threads": 1,
}
STUDY = """
[study]
name = "tiny"
title = "A tiny study"
question = "Does it end?"
seeds = [1, 2]

[base.data]
corpus = "CORPUS"
[base.model]
n_layer = 1
n_head = 2
n_embd = 8
n_positions = 8
[base.train]
max_steps = 6
batch_size = 2
warmup_steps = 2
eval_every = 3
eval_batches = 1
checkpoint_every = 3
watch = "entropy"
watch_every = 3

[axes]
"model.norm" = ["layernorm", "none"]

[[arm]]
name = "hot"
train = { learning_rate = 0.01 }

[paper]
"layernorm" = "softmax + LayerNorm + GELU"

[[compare]]
arm = "none"
against = "layernorm"
claim = "higher"
"""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is removed afterwards, in memory where there is a place for that.

    What is asked is whether things are done in the right order, not how the disk is.
    """
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def settings(folder: Path, **changes: object) -> RunConfig:
    """Those of a run of six steps on the story in that folder."""
    return resolve(None, None, {**TINY, "corpus": str(folder / "story.txt"), **changes})


def write_run(folder: Path, name: str = "run", **changes: object) -> Path:
    """FOLDER/story.txt, and FOLDER/NAME: a run on it, with a checkpoint at each step."""
    write_story(folder)
    return _trained(folder / name, settings(folder, **changes), folder / "cache")


def _trained(place: Path, run: RunConfig, cache: Path) -> Path:
    corpus = load_corpus(run.data.corpus, run.data.tokenizer, run.data.val_fraction, cache)
    train(place, new_state(run, corpus), corpus, Reporter())
    return place


def write_study(folder: Path) -> Path:
    """FOLDER/study: a study whose every run has ended, with its results.json."""
    story = write_story(folder)
    toml = folder / "tiny.toml"
    toml.write_text(STUDY.replace("CORPUS", str(story)), encoding="utf-8")
    study, place = read_study(toml), folder / "study"
    place.mkdir()
    adopt(place, study)
    for run in runs_of(place, study):
        _trained(run.place, run.config, folder / "cache")
        run.beside(".json").write_text('{"exit": 0, "seconds": 1.5, "said": ""}\n')
    note_beginning(place, load_corpus(story, "char", 0.1, folder / "cache"))
    write_results(place)
    return place


def filled(config: GPT2Config) -> Params:
    """Parameters of which no two are alike."""
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(array.shape).astype(np.float32)
            for name, array in init_params(config).items()}


def write_models(folder: Path) -> None:
    """FOLDER/hf, book.safetensors, llmc.bin, openai and shards: small models in every form."""
    config = GPT2Config(n_layer=2, n_head=2, n_embd=6, vocab_size=13, n_positions=5,
                        embd_pdrop=0.0, activation_function="relu")
    params = filled(config)
    save(folder / "hf", config, params)
    plain = config.replace(activation_function="gelu_new", resid_pdrop=0.0, attn_pdrop=0.0)
    (folder / "book").mkdir()
    save_book(folder / "book" / "book.safetensors", plain, params)
    save_llmc(folder / "llmc.bin", plain, params)
    shutil.copytree(GOLDEN / "openai_tf", folder / "openai")
    shutil.copytree(GOLDEN / "transformers_bf16_shards", folder / "shards")


def write_packs(folder: Path) -> None:
    """FOLDER/ours and FOLDER/theirs, alike."""
    for name in ("ours", "theirs"):
        write_pack(folder / name, tiny_config())


def write_questions(folder: Path) -> None:
    """FOLDER/questions.jsonl, whose every character the run's tokenizer knows."""
    lines = [{"ctx": "the cat sat on", "endings": ["a mat", "the dog", "a", "on"], "label": n % 4}
             for n in range(3)]
    (folder / "questions.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def write_texts(folder: Path) -> None:
    """FOLDER/story.txt, FOLDER/texts with three documents, and FOLDER/prompt.txt."""
    write_story(folder)
    (folder / "texts" / "inner").mkdir(parents=True)
    for name in ("one.txt", "two.md", "inner/three.txt"):
        (folder / "texts" / name).write_text(f"the cat sat on {name}\nand looked – ä €\n" * 20)
    (folder / "prompt.txt").write_text("the cat sat")
