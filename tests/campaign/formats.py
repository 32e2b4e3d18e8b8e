"""Every format that npgpt reads: how to write one, and what reads it.

`protected` formats carry checksums or can be built again: whatever is done to them, they are read
as they were or not at all. `keeps` of the others gives what must not change unnoticed, if anything.
"""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable

import numpy as np

from npgpt.cli import main
from npgpt.evaluation.choices import read_questions, score_questions
from npgpt.lab.report import parts
from npgpt.lab.results import load_results
from npgpt.lab.study import read_study
from npgpt.lab.summary import summarise
from npgpt.opening import open_model
from npgpt.packs import compare_packs
from npgpt.text import load_corpus
from npgpt.training.checkpoint import load_checkpoint, newest_checkpoint
from npgpt.training.log import cut_log, read_log
from npgpt.training.settings import resolve
from npgpt.weights import load
from npgpt.weights.configs import FREE

from . import materials
from .outcome import fault_of_command


class Fault(Exception):
    """What a reader gave is wrong; the message is the outcome's fault."""


@dataclass(frozen=True)
class Format:
    """One file of one format."""

    name: str
    material: Callable[[Path], object]
    """Writes it, and what belongs to it, into a folder."""
    file: str
    """Where in the folder; a pattern, the last that fits."""
    read: Callable[[Path], Any]
    """Reads the folder as a user's command does, and returns what it got."""
    protected: bool = False
    keeps: Callable[[Any], Any] | None = None
    without: tuple[str, ...] = ()
    """What is not put in the file's place."""
    slow: int = 1
    """One case where there are so many of another format."""


def same(value: Any) -> Any:
    """A value that is equal for equal content: arrays as bytes."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, dict):
        return {key: same(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [same(part) for part in value]
    if hasattr(value, "to_dict"):
        return same(value.to_dict())
    return value


def _checkpoint(folder: Path) -> Any:
    state = load_checkpoint(folder / "run")
    model, tokenizer = open_model(folder / "run")
    return [state.step, state.config, state.params, state.mean, state.square, state.run,
            state.tokenizer, state.corpus_fingerprint, model.config, model.params, tokenizer]


def _log(folder: Path) -> Any:
    """Cut as on resuming from the newest checkpoint: every sound line is still somewhere."""
    run = folder / "run"
    before = _records(run / "log.jsonl") if (run / "log.jsonl").is_file() else []
    cut_log(run, 6)
    read_log(run)
    after = [record for path in run.iterdir() if "log.jsonl" in path.name
             for record in _records(path)]
    lost = [record for record in before if record not in after]
    if lost:
        raise Fault("sound lines of the log are lost")
    return None


def _records(path: Path) -> list[bytes]:
    """A log's lines that are as they were written, without the spaces that JSON leaves free."""
    original = ORIGINAL_LOG.get("lines", set())
    return [line for line in path.read_bytes().split(b"\n") if line in original]


ORIGINAL_LOG: dict[str, set[bytes]] = {}


def _write_run_and_log(folder: Path) -> None:
    run = materials.write_run(folder)
    ORIGINAL_LOG["lines"] = set((run / "log.jsonl").read_bytes().split(b"\n")) - {b""}


def _settings(folder: Path) -> Any:
    return resolve(None, folder / "run" / "config.toml").model_config(vocab_size=65)


def _weights(name: str) -> Callable[[Path], Any]:
    return lambda folder: load(folder / name)


def _mathematics(loaded: Any) -> Any:
    """Of a model, what config.json alone must not change: all that computes something."""
    config, params = loaded
    return [{key: value for key, value in config.to_dict().items() if key not in FREE}, params]


def _study(folder: Path) -> Any:
    return read_study(folder / "tiny.toml")


def _report(folder: Path) -> Any:
    results = load_results(folder / "study")
    return parts(results, summarise(results), {})


def _report_of_results(folder: Path) -> Any:
    results = load_results(folder / "study" / "results.json")
    return parts(results, summarise(results), {})


def _compared(folder: Path) -> Any:
    text = str(compare_packs(folder / "ours", folder / "theirs"))
    if not text.replace("\n", "").isprintable():
        raise Fault("a comparison with control characters")
    return text


def _questions(folder: Path) -> Any:
    model, tokenizer = open_model(folder / "run")
    return score_questions(model.params, model.config, read_questions(folder / "questions.jsonl"),
                           tokenizer.encode)


def _write_questions(folder: Path) -> None:
    materials.write_run(folder)
    materials.write_questions(folder)


def _corpus(what: str, tokenizer: str) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        corpus = load_corpus(folder / what, tokenizer, 0.1, folder / "cache")
        return [corpus.train, corpus.val, corpus.tokenizer, corpus.fingerprint]
    return read


def _cached(folder: Path) -> None:
    materials.write_texts(folder)
    load_corpus(folder / "story.txt", "char", 0.1, folder / "cache")


def command(*arguments: str, text: bool = False) -> Callable[[Path], Any]:
    """A reader that calls the command line in the folder; returns its output.

    Only a `text` that is the user's own may hold control characters.
    """

    def read(folder: Path) -> Any:
        out, err, before = io.StringIO(), io.StringIO(), os.getcwd()
        os.chdir(folder)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(arguments)
        finally:
            os.chdir(before)
        if fault := fault_of_command(code, err.getvalue()):
            raise Fault(fault)
        # a terminal shows half a surrogate pair as a question mark
        shown = out.getvalue().encode("utf-8", "replace").decode().replace("\n", "")
        if not text and not shown.isprintable():
            raise Fault("control characters on stdout")
        return out.getvalue() if code == 0 else code
    return read


def _write_prompt(folder: Path) -> None:
    materials.write_run(folder)
    materials.write_texts(folder)


def _named_config(folder: Path) -> None:
    materials.write_models(folder)
    materials.write_run(folder)


LARGE = "eight gigabytes of zeros"
CHECKPOINT = "run/checkpoints/step-*/"
FORMATS = [
    *(Format(f"checkpoint, {file}", materials.write_run, CHECKPOINT + file, _checkpoint,
             protected=True)
      for file in ("model.safetensors", "optimizer.safetensors", "config.json", "run.json")),
    # what is lost of it is found by reading it here too
    Format("a run's log.jsonl", _write_run_and_log, "run/log.jsonl", _log,
           without=(LARGE, "endless device")),
    Format("settings, config.toml", materials.write_run, "run/config.toml", _settings),
    Format("settings, as inspect reads them", _named_config, "run/config.toml",
           command("inspect", "run/config.toml", "--vocab-size", "65")),
    Format("Hugging Face, model.safetensors", materials.write_models, "hf/model.safetensors",
           _weights("hf")),
    Format("Hugging Face, config.json", materials.write_models, "hf/config.json", _weights("hf"),
           keeps=_mathematics),
    Format("Hugging Face, config.json as inspect reads it", _named_config, "hf/config.json",
           command("inspect", "hf/config.json")),
    Format("shards, index", materials.write_models, "shards/model.safetensors.index.json",
           _weights("shards")),
    Format("shards, a shard", materials.write_models, "shards/model-00002-of-00003.safetensors",
           _weights("shards")),
    Format("shards, config.json", materials.write_models, "shards/config.json",
           _weights("shards")),
    Format("the book's names, safetensors", materials.write_models, "book/book.safetensors",
           _weights("book")),
    Format("the book's names, config.json", materials.write_models, "book/config.json",
           _weights("book")),
    Format("llm.c's .bin", materials.write_models, "llmc.bin", _weights("llmc.bin")),
    Format("OpenAI's checkpoint, index", materials.write_models, "openai/model.ckpt.index",
           _weights("openai"), protected=True),
    Format("OpenAI's checkpoint, data", materials.write_models,
           "openai/model.ckpt.data-00000-of-00001", _weights("openai"), protected=True),
    Format("OpenAI's checkpoint, hparams.json", materials.write_models, "openai/hparams.json",
           _weights("openai")),
    Format("token cache", _cached, "cache/*.tokens", _corpus("story.txt", "char"),
           protected=True),
    *(Format(f"npgpt verify, {name}", materials.write_run, file, command("verify", "run"), slow=2)
      for name, file in (
          ("a checkpoint's run.json", CHECKPOINT + "run.json"),
          ("a checkpoint's weights", CHECKPOINT + "model.safetensors"),
          ("a run's config.toml", "run/config.toml"), ("a run's log.jsonl", "run/log.jsonl"),
          ("a run's result.json", "run/result.json"))),
    *(Format(f"npgpt verify, {name}", material, file, command("verify", where), slow=2)
      for name, material, file, where in (
          ("config.json of weights", materials.write_models, "hf/config.json", "hf"),
          ("token cache", _cached, "cache/*.tokens", "cache"))),
    Format("study, TOML", materials.write_study, "tiny.toml", _study),
    *(Format(f"study's folder, {name}", materials.write_study, f"study/{file}", _report,
             slow=4)
      for name, file in (
          ("study.toml", "study.toml"), ("about.json", "about.json"),
          ("a run's log.jsonl", "runs/hot-seed1/log.jsonl"),
          ("a run's result.json", "runs/hot-seed1/result.json"),
          ("how a run ended", "runs/hot-seed1.json"),
          ("a run's weights", "runs/hot-seed1/checkpoints/step-*/model.safetensors"))),
    Format("study's results.json", materials.write_study, "study/results.json",
           _report_of_results),
    Format("pack, our pack.safetensors", materials.write_packs, "ours/pack.safetensors",
           _compared),
    Format("pack, our pack.json", materials.write_packs, "ours/pack.json", _compared),
    Format("pack, their pack.safetensors", materials.write_packs, "theirs/pack.safetensors",
           _compared),
    Format("questions", _write_questions, "questions.jsonl", _questions),
    # a prompt may come from a pipe with a name, which waits for its writer
    Format("prompt", _write_prompt, "prompt.txt",
           command("generate", "run", "--file", "prompt.txt", "--max-new-tokens", "3", "--seed",
                   "0", "--threads", "1", text=True), without=("fifo",)),
    # a text may be large: it is read to its end, block by block
    Format("text, by characters", materials.write_texts, "story.txt",
           _corpus("story.txt", "char"), without=(LARGE,)),
    Format("text, by GPT-2's tokens", materials.write_texts, "story.txt",
           _corpus("story.txt", "gpt2"), without=(LARGE,)),
    Format("folder of texts", materials.write_texts, "texts/two.md", _corpus("texts", "gpt2"),
           without=(LARGE,)),
]
if find_spec("scipy") is None:      # of the extra `lab`: a report needs it
    FORMATS = [one for one in FORMATS if one.read not in (_report, _report_of_results)]


def checksum_formats(folder: Path) -> list[Format]:
    """The files of checksums that a checkpoint has beside the four above."""
    known = {format.file.rpartition("/")[2] for format in FORMATS}
    newest = newest_checkpoint(folder / "run")
    return [
        Format(f"checkpoint, {path.name}", materials.write_run, CHECKPOINT + path.name,
               _checkpoint, protected=True)
        for path in sorted(newest.iterdir()) if path.name not in known
    ]
