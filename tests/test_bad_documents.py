"""Every document that npgpt reads, mutated: one line of the room's kind of error, or it loads."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from npgpt import GPT2
from npgpt.cli.generate import _prompt
from npgpt.evaluation.choices import QuestionError, read_questions
from npgpt.lab.report import parts
from npgpt.lab.results import load_results
from npgpt.lab.study import load_study, shipped
from npgpt.lab.summary import summarise
from npgpt.opening import open_model
from npgpt.packs import compare_packs, tiny_config, write_pack
from npgpt.params import init_params
from npgpt.text import CorpusError, load_corpus
from npgpt.training.checkpoint import load_checkpoint
from npgpt.training.log import read_log
from npgpt.training.loop import new_state, train
from npgpt.training.settings import resolve
from npgpt.weights import CheckpointError, load, save, save_book, save_llmc

from .lab.conftest import results_of
from .stories import write_story
from .training.conftest import without_checksums

TINY = tiny_config()
QUESTION = {"ctx": "a man sits", "endings": ["on a roof.", "down."], "label": 1}
HEADS = [[0.1, 0.2], [0.3, 0.4]]


class Kind(NamedTuple):
    """A document below the folder of all; how it is read, and what reading it may raise."""

    path: str
    read: Callable[[Path], object]
    error: type[ValueError] = ValueError


def report(path: Path) -> None:
    results = load_results(path)
    parts(results, summarise(results), {})


RUN = "run/checkpoints/step-00000002"
KINDS = {
    "run.json": Kind(f"{RUN}/run.json", lambda file: load_checkpoint(file.parent),
                     CheckpointError),
    "a checkpoint's config": Kind(f"{RUN}/config.json", lambda file: load(file.parent),
                                  CheckpointError),
    "a log": Kind("run/log.jsonl", lambda file: read_log(file.parent)),
    "settings": Kind("run.toml", lambda file: resolve(file=file).model_config(20)),
    "a study": Kind("study.toml", lambda file: load_study(str(file)).runs()),
    "results": Kind("results.json", report),
    "questions": Kind("q.jsonl", lambda file: list(read_questions(file)), QuestionError),
    "a pack": Kind("pack/pack.json", lambda file: compare_packs(file.parent, file.parent),
                   CheckpointError),
    "a book's config": Kind("book/config.json", lambda file: load(file.parent), CheckpointError),
}
if find_spec("scipy") is None:      # of the extra `lab`
    del KINDS["results"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a sound document of every kind."""
    home = tmp_path_factory.mktemp("documents")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NPGPT_CACHE", str(home / "cache"))
        run = resolve(flags={
            "corpus": str(write_story(home)), "n_layer": 1, "n_head": 2, "n_embd": 4,
            "n_positions": 4, "max_steps": 2, "batch_size": 2, "sample_every": 0, "threads": 1,
            "watch": "entropy"})
        corpus = load_corpus(run.data.corpus)
        train(home / "run", new_state(run, corpus), corpus)
        without_checksums(home / RUN)
        (home / "run.toml").write_text(run.to_toml())
        shutil.copy(shipped()["small"], home / "study.toml")
        (home / "results.json").write_text(json.dumps(results_of(
            {"a": [1.1, 1.2], "b": [1.0, 1.05]}, entropies={"a": HEADS, "b": HEADS})))
        (home / "q.jsonl").write_text(f"{json.dumps(QUESTION)}\n" * 2)
        write_pack(home / "pack", TINY)
        save_book(home / "book", TINY, init_params(TINY))
        yield home


def outcome(home: Path, kind: Kind) -> None:
    """Read a document; an error must be of the right kind, one line, and name the file."""
    try:
        kind.read(home / kind.path)
    except kind.error as error:
        message = str(error)
        assert str(home) in message and "\n" not in message and len(message) < 1000


VALUES: list[Any] = [
    None, True, False, 0, -1, 3, 2**63, 10**30, 10**400, 0.5, 1e308, 1e-320, "", "x", "nan", "12",
    [], {}, [1], ["a"], [[1, 2]], {"a": 1}, [[[1]]],
]
PLACE = st.floats(0, 1, exclude_max=True)
MUTATION = st.tuples(st.sampled_from(["set", "set", "delete", "rename", "copy", "byte"]), PLACE,
                     st.sampled_from(VALUES), st.binary(max_size=3))


def places(document: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = (document.items() if isinstance(document, dict)
             else enumerate(document) if isinstance(document, list) else ())
    for step, part in inner:
        yield (*way, step)
        yield from places(part, (*way, step))


def mutated(text: str, how: str, place: float, value: Any) -> str:
    """A JSON text with one of its values set, deleted, copied within, or under another key."""
    document = json.loads(text)
    ways = list(places(document))
    *way, last = ways[int(place * len(ways))]
    at = document
    for step in way:
        at = at[step]
    if how == "set":
        at[last] = copy.deepcopy(value)
    elif how == "copy" and isinstance(at, list):
        at.append(at[last])
    elif how == "rename" and isinstance(at, dict):
        at[f"{last}s"] = at.pop(last)
    else:
        del at[last]
    return json.dumps(document)


def changed(text: str, suffix: str, mutation: tuple[str, float, Any, bytes]) -> bytes:
    how, place, value, raw = mutation
    if how == "byte":
        content = text.encode()
        at = int(place * len(content))
        return content[:at] + raw + content[at + len(raw):]
    if suffix == ".json":
        return mutated(text, how, place, value).encode()
    lines = text.splitlines()
    at = int(place * len(lines))
    if suffix == ".jsonl":
        lines[at] = mutated(lines[at], how, place * len(lines) % 1, value)
    elif how == "set" and "=" in lines[at]:
        # TOML writes all of these values as JSON does, but for null and objects
        lines[at] = lines[at].split("=")[0] + "= " + (
            "{ a = [1] }" if value is None or isinstance(value, dict) else json.dumps(value))
    elif how in ("copy", "rename"):
        lines.insert(0, lines[at])
    else:
        del lines[at]
    return "\n".join(lines).encode()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutation=MUTATION)
def test_a_mutated_document_never_crashes(
    home: Path, kind: Kind, mutation: tuple[str, float, Any, bytes]
) -> None:
    file = home / kind.path
    sound = file.read_text()
    try:
        file.write_bytes(changed(sound, file.suffix, mutation))
        outcome(home, kind)
    finally:
        file.write_text(sound)


FORGED = [
    "[" * 100_000, '{"a":' * 100_000, "9" * 5000, '{"a": ' + "9" * 400 + "}", "", "[]", "{}",
    "\ud800", "x = " + "[" * 100_000, "x" + ".x" * 100_000 + " = 1", "x = " + "9" * 5000,
]


@pytest.mark.parametrize("content", FORGED, ids=lambda content: f"{content[:9]}{len(content)}")
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_forged_document_never_crashes(home: Path, kind: Kind, content: str) -> None:
    file = home / kind.path
    sound = file.read_text()
    try:
        file.write_bytes(content.encode("utf-8", "surrogatepass"))
        outcome(home, kind)
    finally:
        file.write_text(sound)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_byte_order_mark_changes_nothing(home: Path, kind: Kind) -> None:
    file = home / kind.path
    sound = file.read_text()
    try:
        without = pickle.dumps(kind.read(file))
        file.write_text(sound, encoding="utf-8-sig")
        assert pickle.dumps(kind.read(file)) == without
    finally:
        file.write_text(sound)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_fifo_in_place_of_a_document_is_rejected_at_once(home: Path, kind: Kind) -> None:
    file = home / kind.path
    sound = file.read_text()
    file.unlink()
    os.mkfifo(file)
    try:
        with pytest.raises(kind.error, match=f"{file.name} is a FIFO; expected a regular file"):
            kind.read(file)
    finally:
        file.unlink()
        file.write_text(sound)


def hf(folder: Path) -> Path:
    save(folder, TINY, init_params(TINY))
    return folder / "model.safetensors"


def llmc(folder: Path) -> Path:
    save_llmc(folder / "m.bin", TINY, init_params(TINY))
    return folder / "m.bin"


def openai(folder: Path) -> Path:
    shutil.copytree(Path(__file__).parent / "golden" / "openai_tf", folder, dirs_exist_ok=True)
    return folder / "model.ckpt.index"


@pytest.mark.parametrize("read", [GPT2.load, load, open_model, load_corpus])
@pytest.mark.parametrize("write", [hf, llmc, openai])
def test_a_fifo_in_place_of_weights_or_a_text_is_rejected_at_once(
    tmp_path: Path, write: Callable[[Path], Path], read: Callable[[Path], object]
) -> None:
    file = write(tmp_path)
    file.unlink()
    os.mkfifo(file)
    expected = "neither a file nor a folder" if read is load_corpus else "is a FIFO"
    with pytest.raises((CheckpointError, CorpusError), match=expected):
        read(file)


def test_a_prompt_from_a_fifo_is_rejected_and_a_mark_before_one_left_out(tmp_path: Path) -> None:
    from argparse import Namespace

    file = tmp_path / "prompt"
    file.write_text("Once", encoding="utf-8-sig")
    assert _prompt(Namespace(prompt=None, file=file)) == "Once"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(CorpusError, match="prompt is a FIFO"):
        _prompt(Namespace(prompt=None, file=file))
