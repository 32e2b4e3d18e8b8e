"""npgpt verify, as a user meets it."""

import shutil
from pathlib import Path

import pytest

from .conftest import TINY


@pytest.fixture
def long_run(npgpt, run_folder):
    """A run with two checkpoints, of the steps 4 and 6."""
    assert npgpt("train", "--resume", run_folder, "--max-steps", "6")[0] == 0
    return run_folder


def test_a_sound_run_is_a_line_for_each_file_and_0(npgpt, long_run):
    code, out, err = npgpt("verify", long_run)
    assert (code, err) == (0, "") and "damaged" not in out
    assert out.splitlines()[0] == "run        run"
    assert out.splitlines()[-1] == "sound      13 files"
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "ok         step-00000006/optimizer.safetensors   size, crc32, no NaN\n" in out


def test_damage_is_1_names_the_file_and_the_checkpoint_to_continue_from(npgpt, long_run):
    newest = long_run / "checkpoints" / "step-00000006"
    with (newest / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    (newest / "run.json").unlink()
    code, out, err = npgpt("verify", long_run)
    assert (code, err) == (1, "") and all(len(line) <= 80 for line in out.splitlines())
    assert "damaged    step-00000006/model.safetensors       does not match its crc32\n" in out
    assert "damaged    step-00000006/run.json                is missing\n" in out
    advice = out.splitlines()[-1].removeprefix("continue   npgpt ")
    assert npgpt(*advice.split(), "--max-steps", "6")[0] == 0
    assert npgpt("verify", newest)[0] == 0


def test_a_run_without_a_sound_checkpoint_says_so(npgpt, run_folder):
    for place in (run_folder / "checkpoints").iterdir():
        (place / "config.json").write_text("{")
    code, out, _ = npgpt("verify", run_folder)
    assert code == 1 and out.endswith("continue   no checkpoint is sound\n")


def test_long_damage_is_cut(npgpt, run_folder):
    (run_folder / "config.toml").write_text("".join(f"k{n} = {n}\n" for n in range(900)))
    code, out, _ = npgpt("verify", run_folder)
    assert code == 1 and out.count("\n") < 20 and all(len(line) <= 80 for line in out.splitlines())


def test_a_checkpoint_weights_and_the_token_cache_are_checked_too(npgpt, run_folder):
    assert npgpt("convert", "run", "weights")[0] == 0
    for path, kind in {"run/checkpoints/step-00000004": "checkpoint", "weights": "weights",
                       "weights/model.safetensors": "weights", "cache": "tokens"}.items():
        code, out, err = npgpt("verify", path)
        assert (code, err) == (0, "") and out.startswith(f"{kind:11}{path}\n")
        assert out.endswith("sound      5 files\n" if kind == "checkpoint" else "1 file\n")


@pytest.mark.parametrize("path", ["nowhere", "story.txt", "empty", "gpt2"])
def test_what_is_nothing_that_npgpt_knows_is_3_and_one_line(npgpt, story, path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(Path("hub").absolute()))
    Path("empty").mkdir()
    code, out, err = npgpt("verify", path)
    assert (code, out, err.count("\n")) == (3, "", 1) and path in err


def test_no_command_takes_a_damaged_checkpoint(npgpt, run_folder):
    shutil.copytree(run_folder, "sound")
    file = next((run_folder / "checkpoints").iterdir()) / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    for command in (["train", "--resume", "run"], ["generate", "run", "a"], ["eval", "run"],
                    ["entropy", "run"], ["convert", "run", "out"], ["convert", file.parent, "out"],
                    ["demo", "generate", "--model", "run"]):
        code, _, err = npgpt(*command)
        assert code == 3 and err.count("\n") == 1, command
        assert "step-00000004: model.safetensors does not match its crc32" in err
    assert not Path("out").exists()


def test_a_run_is_examined_while_it_goes_on(npgpt, process, story):
    running = process("train", "--corpus", story, "--out", "live", *TINY, "--max-steps", "1000000",
                      "--checkpoint-every", "1", "--eval-every", "1000000", "--sample-every", "0")
    while not Path("live/checkpoints/step-00000003").is_dir():
        assert running.poll() is None, running.stderr.read()
    reports = [npgpt("verify", "live") for _ in range(20)]
    running.kill()
    running.communicate()
    assert {code for code, _, _ in reports} == {0}, reports
