"""Files cut short and mutated, in every form: a CheckpointError of one line, or a sound model."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from npgpt.params import Params, check_params
from npgpt.weights import CheckpointError, load, save, save_book, save_llmc

from .conftest import SMALL, assert_equal, filled
from .test_huggingface import sharded

GOLDEN = Path(__file__).parent.parent / "golden" / "openai_tf"
TINY = SMALL.replace(n_layer=1, n_embd=2, vocab_size=3, n_positions=2)
# what reading a sound file of this size takes many times over; a forged size would take more
MOST_MEMORY = 2 * 2**20


def hf(folder: Path) -> None:
    save(folder, TINY, filled(TINY))


def shards(folder: Path) -> None:
    sharded(folder, filled(SMALL))


def book(folder: Path) -> None:
    save_book(folder, TINY, filled(TINY))


def llmc(folder: Path) -> None:
    save_llmc(folder / "m.bin", TINY, filled(TINY))


def openai(folder: Path) -> None:
    shutil.copytree(GOLDEN, folder, dirs_exist_ok=True)


FORMS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "hf": (hf, ("model.safetensors", "config.json")),
    "shards": (shards, ("model.safetensors.index.json", "model-00002-of-00003.safetensors")),
    "book": (book, ("model.safetensors", "config.json")),
    "llmc": (llmc, ("m.bin",)),
    "openai": (openai, ("model.ckpt.index", "model.ckpt.data-00000-of-00001", "hparams.json")),
}
FILES = [(form, name) for form, (_, names) in FORMS.items() for name in names]


def outcome(folder: Path) -> Params | None:
    """The model if it loads; None after an error of one line that names a file."""
    try:
        config, params = load(folder)
    except CheckpointError as error:
        assert str(error).isprintable() and len(str(error)) < 5000
        assert str(folder) in str(error)
        return None
    check_params(config, params)
    return params


def rewrite(file: Path, content: bytes) -> None:
    # a new file: file systems flush one that is emptied and written again
    file.unlink()
    file.write_bytes(content)


@pytest.mark.parametrize("form, name", FILES)
def test_a_file_truncated_anywhere_is_rejected(tmp_path: Path, form: str, name: str) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    FORMS[form][0](folder)
    file = folder / name
    whole = file.read_bytes().rstrip(b"\n") if name.endswith(".json") else file.read_bytes()
    for length in reversed(range(len(whole))):
        os.truncate(file, length)
        assert outcome(folder) is None, length


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    for form, (write, _) in FORMS.items():
        folders[form] = tmp_path_factory.mktemp(form)
        write(folders[form])
    return folders


PLACE = st.floats(0, 1, exclude_max=True)
MUTATION = st.one_of(
    st.tuples(st.just("set"), PLACE, st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("insert"), PLACE, st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("delete"), PLACE, st.integers(1, 40)),
    st.tuples(st.just("repeat"), PLACE, st.integers(1, 40)),
    st.tuples(st.just("digit"), PLACE, st.sampled_from(b"0123456789-[]{},\"")),
)


def mutated(content: bytes, kind: str, place: float, with_what: bytes | int, reach: int) -> bytes:
    at = int(place * min(len(content), reach))
    if kind == "delete":
        return content[:at] + content[at + int(with_what):]
    if kind == "repeat":
        return content[:at] + content[at:at + int(with_what)] * 2 + content[at:]
    raw = bytes([with_what]) if isinstance(with_what, int) else with_what
    return content[:at] + raw + content[at if kind == "insert" else at + len(raw):]


# half of the mutations fall into the header, where nearly every byte matters
@settings(max_examples=1200, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.sampled_from(FILES), mutations=st.lists(MUTATION, min_size=1, max_size=3),
       in_header=st.booleans())
def test_mutated_files_never_crash(
    sound: dict[str, Path], where: tuple[str, str], mutations: list, in_header: bool
) -> None:
    form, name = where
    file = sound[form] / name
    before = file.read_bytes()
    content = before
    for kind, place, with_what in mutations:
        content = mutated(content, kind, place, with_what, 800 if in_header else len(content))
    try:
        rewrite(file, content)
        params = outcome(sound[form])
        if params is not None and form == "openai" and name != "hparams.json":
            # every byte that is used there is under a checksum
            assert_equal(params, load(GOLDEN)[1])
    finally:
        rewrite(file, before)


def test_every_number_of_a_header_forged_in_turn_is_rejected_before_anything_is_allocated(
    tmp_path: Path,
) -> None:
    save(tmp_path, TINY, filled(TINY))
    file = tmp_path / "model.safetensors"
    content = file.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8:end]), content[end:]
    tracemalloc.start()
    for name in header:
        if name == "__metadata__":
            continue
        for key in ("shape", "data_offsets"):
            for i in range(len(header[name][key])):
                for forged in (-1, 0, 2**31, 2**62, 2**63, 2**64 + 4, 10**30, 1.5, None, "1"):
                    original = header[name][key][i]
                    if forged == original:
                        continue
                    header[name][key][i] = forged
                    text = json.dumps(header).encode()
                    rewrite(file, len(text).to_bytes(8, "little") + text + data)
                    assert outcome(tmp_path) is None
                    header[name][key][i] = original
    assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    tracemalloc.stop()
