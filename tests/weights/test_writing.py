from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from npgpt.documents import read_json
from npgpt.weights import CheckpointError, convert, load, save, save_book, save_llmc
from npgpt.weights.checksums import CHECKSUMS, damaged_files, measured, write_checksums
from npgpt.weights.reading import tokenizer_for

from .conftest import SMALL, assert_equal, filled

pytestmark = pytest.mark.smoke

ROOT = Path(__file__).parent.parent.parent
OTHER = filled(SMALL, seed=1)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_saving_over_a_model_replaces_it_and_leaves_nothing_else(tmp_path: Path, params) -> None:
    save(tmp_path / "m", SMALL, params)
    save(tmp_path / "m", SMALL.replace(tie_word_embeddings=False),
         {**OTHER, "lm_head.weight": OTHER["wte.weight"] + 1})
    assert set(content(tmp_path / "m")) == {"model.safetensors", "config.json"}
    assert not load(tmp_path / "m")[0].tie_word_embeddings


def test_what_replaces_a_pulled_model_is_not_compared_with_its_checksum(
    tmp_path: Path, params
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"pulled")
    write_checksums(tmp_path, measured(tmp_path))
    save(tmp_path / "beside.safetensors", SMALL, params)
    assert (tmp_path / CHECKSUMS).is_file() and damaged_files(tmp_path) == {}
    save(tmp_path, SMALL, params)
    assert not (tmp_path / CHECKSUMS).exists()


def test_a_model_may_be_saved_over_the_file_it_is_mapped_from(tmp_path: Path, params) -> None:
    save(tmp_path, SMALL, params)
    config, loaded = load(tmp_path)
    loaded["wpe.weight"] += 1
    save(tmp_path, config, loaded)
    assert_equal(load(tmp_path)[1], {**params, "wpe.weight": params["wpe.weight"] + 1})


def test_parameters_that_do_not_fit_are_not_written(tmp_path: Path, params) -> None:
    save(tmp_path, SMALL, params)
    before = content(tmp_path)
    bad = {**OTHER, "ln_f.bias": np.zeros(7, "f4"), "wpe.weight": OTHER["wpe.weight"].astype("f2")}
    for write in (save, save_book, save_llmc):
        with pytest.raises(ValueError, match="wpe.weight is float16, .* ln_f.bias has shape"):
            write(tmp_path, SMALL, bad)
    assert content(tmp_path) == before


@pytest.mark.parametrize("src_form", ["hf", "book", "llmc"])
@pytest.mark.parametrize("dst_form", ["hf", "book", "llmc"])
def test_every_form_converts_into_every_other(
    tmp_path: Path, params, src_form: str, dst_form: str
) -> None:
    save(tmp_path / "start", SMALL, params)
    src, dst = tmp_path / f"src-{src_form}", tmp_path / "deep" / f"dst-{dst_form}"
    assert convert(tmp_path / "start", src, src_form) == SMALL
    assert convert(src, dst, dst_form) == SMALL
    assert_equal(load(dst)[1], params)


def test_an_export_keeps_the_special_tokens_of_the_original(tmp_path: Path) -> None:
    config = SMALL.replace(vocab_size=904)
    save(tmp_path / "m", config, filled(config, seed=2))
    for file in (ROOT / "tests" / "golden" / "tokenizers" / "json").iterdir():
        shutil.copy(file, tmp_path / "m")
    convert(tmp_path / "m", tmp_path / "again")
    convert(tmp_path / "again", tmp_path / "third")
    (before, *after) = [read_json(tmp_path / name / "tokenizer_config.json")
                        for name in ("m", "again", "third")]
    named = {name: text for name, text in before.items() if name.endswith("_token")}
    ids = {token.text: token.id
           for token in tokenizer_for(tmp_path / "m", config).vocabulary.added}
    assert set(named) == {"eos_token", "mask_token", "pad_token"}
    for name, written in zip(("again", "third"), after):
        assert written.items() >= named.items()
        generation = read_json(tmp_path / name / "generation_config.json")
        assert generation == {"bos_token_id": ids["<|endoftext|>"],
                              "eos_token_id": ids["<|endoftext|>"],
                              "pad_token_id": ids[named["pad_token"]]}
        model = read_json(tmp_path / name / "config.json")
        assert model.items() >= generation.items()


def test_an_unknown_form_is_rejected_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown form 'onnx'; expected one of hf, npgpt, llm"):
        convert(tmp_path / "nowhere", tmp_path / "x", "onnx")
    with pytest.raises(CheckpointError):
        convert(tmp_path / "nowhere", tmp_path / "x", "hf")


def test_what_the_model_is_read_from_is_not_written_over(tmp_path: Path, params) -> None:
    save(tmp_path / "m", SMALL, params)
    save_llmc(tmp_path / "l" / "m.bin", SMALL, params)
    before = [content(tmp_path / name) for name in ("m", "l")]
    for src, dst, to in (
        ("m", "m", "book"), ("m", "m/model.safetensors", "hf"),
        ("m/model.safetensors", "m", "book"),
        ("m", "m/other.safetensors", "book"), ("l", "l", "hf"), ("l", "l/m.bin", "llmc"),
        ("m", "m/../m", "hf"),
    ):
        with pytest.raises(ValueError, match="is read from; name another place"):
            convert(tmp_path / src, tmp_path / dst, to)
    with pytest.raises(ValueError, match="m is a folder; name a .bin file"):
        save_llmc(tmp_path / "m", SMALL, params)
    assert [content(tmp_path / name) for name in ("m", "l")] == before
    convert(tmp_path / "m", tmp_path / "m" / "m.bin", "llmc")
    assert_equal(load(tmp_path / "m" / "m.bin")[1], params)


def test_a_file_that_needs_no_config_json_may_get_one_beside_it(tmp_path: Path, params) -> None:
    save(tmp_path, SMALL, params)
    (tmp_path / "config.json").unlink()
    convert(tmp_path / "model.safetensors", tmp_path / "other.safetensors")
    assert set(content(tmp_path)) == {"model.safetensors", "other.safetensors", "config.json"}
    assert_equal(load(tmp_path / "other.safetensors")[1], params)


@pytest.mark.parametrize("write", [save, save_book, save_llmc])
def test_a_disk_with_too_little_room_is_named_before_anything_is_written(
    tmp_path: Path, params, write, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(array.nbytes for array in params.values())
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=size - 1))
    with pytest.raises(OSError, match="No space left on device"):
        write(tmp_path / "new" / "m.bin", SMALL, params)
    assert content(tmp_path) == {}


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_all_files_of_a_model_may_be_read_by_the_same_people(tmp_path: Path, params) -> None:
    before = os.umask(0o027)
    try:
        for _ in range(2):
            save(tmp_path / "hf", SMALL, params)
            save_book(tmp_path / "book", SMALL, params)
            save_llmc(tmp_path / "llmc" / "m.bin", SMALL, params)
    finally:
        os.umask(before)
    modes = {file.stat().st_mode & 0o777 for file in tmp_path.glob("*/*")}
    assert modes == {0o640}


def in_a_process(code: str, *arguments: object) -> subprocess.Popen[str]:
    script = f"""
import os, resource, sys
from tests.weights.conftest import SMALL, filled
from npgpt.weights import save, save_book, save_llmc
{code}
"""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="limits and users are POSIX's")
@pytest.mark.parametrize("how, message", [
    # a limit on the size of files breaks off the writing as a full disk does
    ("resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))", "File too large"),
    # root may write anywhere, so the process becomes another user first
    ("os.getuid() == 0 and os.setuid(65534)", "Permission denied"),
])
def test_a_failing_disk_leaves_the_old_files_whole(
    tmp_path: Path, params, how: str, message: str
) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    save(tmp_path / "hf", SMALL, params)
    save_book(tmp_path / "book", SMALL, params)
    save_llmc(tmp_path / "llmc" / "m.bin", SMALL, params)
    folders = [tmp_path / name for name in ("hf", "book", "llmc")]
    before = [content(folder) for folder in folders]
    for folder in folders:
        folder.chmod(0o555)
    process = in_a_process(f"""
import safetensors.numpy    # now: another user may not be let into the virtual environment
params = filled(SMALL, 1)
{how}
for write, path in zip((save, save_book, save_llmc), sys.argv[1:]):
    try:
        write(path, SMALL, params)
    except OSError as error:
        print(error.strerror)
""", folders[0], folders[1], folders[2] / "m.bin")
    out, err = process.communicate(timeout=60)
    for folder in folders:
        folder.chmod(0o755)
    assert out.splitlines() == [message] * 3, err
    assert [content(folder) for folder in folders] == before


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_a_kill_at_any_moment_leaves_one_whole_model(tmp_path: Path, params) -> None:
    save(tmp_path, SMALL, params)
    process = in_a_process("""
models = [filled(SMALL, 1), filled(SMALL)]
print("ready", flush=True)
while True:
    for params in models:
        save(sys.argv[1], SMALL, params)
""", tmp_path)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    models = {model["ln_f.bias"].tobytes(): model for model in (params, OTHER)}
    for _ in range(20):
        loaded = load(tmp_path)[1]
        assert_equal(loaded, models[loaded["ln_f.bias"].tobytes()])
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    loaded = load(tmp_path)[1]
    assert_equal(loaded, models[loaded["ln_f.bias"].tobytes()])
