"""npgpt train, as a user meets it."""

import json
import os
import shutil
import signal
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config, TextModel, load, open_model
from npgpt.cli import parse
from npgpt.files import InUse, locked
from npgpt.text import BPETokenizer
from npgpt.training.checkpoint import load_checkpoint, newest_checkpoint
from npgpt.training.held_out import model_checkpoint
from npgpt.training.tasks import load_task

from ..training.conftest import without_checksums
from .conftest import TINY


def test_a_run_shows_what_it_learns_from_and_what_came_out(npgpt, story):
    code, out, err = npgpt("train", "--corpus", story, "--out", "run", *TINY)
    assert code == 0
    assert "unigram" in out and "val loss" in out and "npgpt generate run" in out
    assert "curves     npgpt plot run\n" in out and "rate  " not in out
    assert "step      4/4" in out and "  | " in out
    assert all(len(line) <= 80 for line in out.splitlines() if str(story) not in line)


@pytest.mark.parametrize("warmup, noted", [("3", False), ("4", True), ("100", True)])
def test_a_warm_up_longer_than_the_run_is_noted_in_one_line(npgpt, story, warmup, noted):
    code, _, err = npgpt("train", "--corpus", story, *TINY, "--warmup-steps", warmup)
    assert code == 0
    assert err == (f"npgpt: --warmup-steps {warmup} is not below --max-steps 4: the learning rate "
                   f"never reaches its maximum\n" if noted else "")


def test_runs_get_folders_of_their_own(npgpt, story):
    for expected in ("runs/story.txt", "runs/story.txt-2"):
        assert npgpt("train", "--corpus", story, *TINY)[0] == 0
        assert Path(expected, "log.jsonl").is_file()


@pytest.mark.smoke
def test_the_resolved_config_repeats_the_run(npgpt, run_folder):
    config = run_folder / "config.toml"
    assert tomllib.loads(config.read_text())["train"]["max_steps"] == 4
    code, _, err = npgpt("train", "--config", config, "--out", "again")
    assert code == 0, err
    a, b = load_checkpoint(run_folder), load_checkpoint(Path("again"))
    assert all((a.params[name] == b.params[name]).all() for name in a.params)


def test_a_finished_run_can_be_made_longer(npgpt, run_folder):
    assert npgpt("train", "--resume", run_folder)[0] == 0
    code, out, _ = npgpt("train", "--resume", run_folder, "--max-steps", "6")
    assert code == 0 and "from step 4" in out
    assert "rate       stays at 0.0001 from step 4 on, where its decay ends\n" in out
    state = load_checkpoint(run_folder)
    assert state.step == 6 and state.run.train.decay_steps == 4


def test_a_run_continues_with_less_memory_to_the_same_bits(npgpt, run_folder):
    shutil.copytree(run_folder, "as-it-was")
    for folder, options in (("as-it-was", []), (run_folder, ["--recompute"])):
        code, _, err = npgpt("train", "--resume", folder, "--max-steps", "7", *options)
        assert code == 0, err
    plain, lean = load_checkpoint(Path("as-it-was")), load_checkpoint(run_folder)
    assert lean.run.train.recompute and not plain.run.train.recompute
    assert all((plain.params[name] == lean.params[name]).all() for name in plain.params)


@pytest.mark.parametrize("arguments, says", [
    (["--resume", "nowhere"], "not a run folder"),
    (["--resume", "."], "not a run folder"),
    (["--resume", "run", "--seed", "3"], "--seed cannot be changed"),
    (["--resume", "run", "--preset", "gpt2"], "--preset cannot be combined with --resume"),
    (["--resume", "run", "--init-from", "gpt2"], "--from cannot be combined with --resume"),
    (["--out", "run"], "already holds a run"),
    (["--out", "run/config.toml"], "run/config.toml: not a folder; name another place"),
    (["--preset", "gpt5"], "unknown preset"),
    (["--n-head", "3"], "does not divide"),
    (["--corpus", "python-doc"], "python-docs"),
    (["--tokenizer", "bpe"], "gpt2"),
    (["--config", "missing.toml"], "missing.toml"),
    (["--resume", "run", "--max-steps", "3"], "below step 4"),
    (["--resume", "run", "--threads", "-1"], "threads=-1 must be"),
    (["--log", "cvs"], "unknown format 'cvs' (did you mean 'csv'?)"),
])
def test_mistakes_are_one_line(npgpt, run_folder, arguments, says):
    code, out, err = npgpt("train", *arguments)
    assert code in (2, 3) and says in err and err.count("\n") == 1


def test_a_text_that_is_too_short_is_reported(npgpt, tmp_path):
    (tmp_path / "short.txt").write_text("hello there")
    code, _, err = npgpt("train", "--corpus", "short.txt", *TINY)
    assert code == 3 and "tokens" in err and err.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_reported(npgpt, story, tmp_path):
    (tmp_path / "taken").write_text("a file")
    code, _, err = npgpt("train", "--corpus", story, "--out", "taken/run", *TINY)
    assert code == 3 and "taken" in err and err.count("\n") == 1


def test_a_changed_text_is_noticed_on_resuming(npgpt, run_folder, story):
    story.write_text(story.read_text() + "the cat sat\n")
    code, _, err = npgpt("train", "--resume", run_folder)
    assert code == 3 and "not the text that the run was trained on" in err
    story.write_text(story.read_text() + "Q")
    code, _, err = npgpt("train", "--resume", run_folder)
    assert code == 3 and "changed since the run began" in err and err.count("\n") == 1


def test_a_text_that_was_moved_is_named_on_resuming_and_must_be_the_same(
        npgpt, run_folder, story, tmp_path):
    story.rename("moved.txt")
    code, _, err = npgpt("train", "--resume", run_folder)
    assert code == 3 and "say with --corpus where it is" in err
    Path("other.txt").write_text("the cat sat on a mat and looked at the dog\n" * 30)
    code, _, err = npgpt("train", "--resume", run_folder, "--corpus", "other.txt")
    assert code == 3 and err.count("\n") == 1
    code, _, err = npgpt("train", "--resume", run_folder, "--corpus", "moved.txt",
                         "--max-steps", "5")
    assert (code, err) == (0, "")
    assert load_checkpoint(run_folder).run.data.corpus == str(tmp_path / "moved.txt")
    assert npgpt("eval", run_folder)[0] == 0


def test_a_diverged_run_exits_4_and_keeps_its_last_good_checkpoint(npgpt, story):
    code, _, err = npgpt("train", "--corpus", story, "--out", "run", *TINY,
                         "--learning-rate", "1e39", "--warmup-steps", "0")
    assert code == 4 and "step" in err
    assert load_checkpoint(Path("run")).step == 0


@pytest.mark.smoke
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_exits_130_and_can_be_continued(npgpt, process, story, number):
    long = ["--max-steps", "100000", "--eval-every", "100000", "--sample-every", "0",
            "--checkpoint-every", "100000"]
    running = process("train", "--corpus", story, "--out", "run", *TINY, *long)
    log = Path("run/log.jsonl")
    while not (log.is_file() and len(log.read_text().splitlines()) > 3):
        assert running.poll() is None, running.stderr.read()
    running.send_signal(number)
    out, err = running.communicate()
    assert running.returncode == 130
    assert "npgpt train --resume run" in out and "Traceback" not in err
    step = load_checkpoint(Path("run")).step
    assert step > 0 and json.loads(log.read_text().splitlines()[-1])["step"] == step
    assert npgpt("train", "--resume", "run", "--max-steps", str(step + 2))[0] == 0


def test_a_run_that_is_being_trained_is_not_resumed_by_another(npgpt, process, run_folder):
    log = run_folder / "log.jsonl"
    begun = len(log.read_text().splitlines())
    running = process("train", "--resume", run_folder, "--max-steps", "100000")
    while len(log.read_text().splitlines()) <= begun:
        assert running.poll() is None, running.stderr.read()
    newest = sorted((run_folder / "checkpoints").iterdir())[-1]
    for given in (run_folder, newest):
        code, out, err = npgpt("train", "--resume", given)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"in use by another process, {running.pid};" in err
    running.kill()
    running.communicate()
    code, _, err = npgpt("train", "--resume", run_folder, "--max-steps", "100000",
                         "--max-minutes", "0.0001")
    assert code == 0, err


def test_nobody_else_goes_on_from_the_state_that_a_run_has_read(npgpt, run_folder, monkeypatch):
    asked = []

    def while_it_prepares(*given, **named):
        with pytest.raises(InUse), locked(run_folder):
            pass
        asked.append(given)
        return load_task(*given, **named)

    monkeypatch.setattr("npgpt.training.tasks.load_task", while_it_prepares)
    assert npgpt("train", "--resume", run_folder, "--max-steps", "5")[0] == 0
    assert len(asked) == 1 and load_checkpoint(run_folder).step == 5


def test_a_run_killed_before_its_first_checkpoint_starts_afresh(npgpt, run_folder):
    shutil.rmtree(run_folder / "checkpoints")
    code, _, err = npgpt("train", "--resume", run_folder)
    assert code == 0, err
    assert load_checkpoint(run_folder).step == 4


def test_a_run_without_checkpoint_whose_settings_are_damaged_is_reported(npgpt, run_folder):
    shutil.rmtree(run_folder / "checkpoints")
    (run_folder / "config.toml").write_text("[train]\n")
    code, out, err = npgpt("train", "--resume", run_folder)
    assert (code, out) == (2, "")
    assert err == "npgpt: run/config.toml: the table [data] is missing\n"


def test_a_checkpoint_outside_of_a_run_is_not_resumed(npgpt, run_folder):
    (run_folder / "checkpoints" / "step-00000004").rename("alone")
    code, out, err = npgpt("train", "--resume", "alone")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "alone is a checkpoint outside of its run folder" in err


def test_a_full_disk_stops_the_run_in_one_line_and_keeps_what_was_whole(
        npgpt, process, run_folder):
    import resource

    def small_files():
        # no file may grow beyond this: every checkpoint hits it, as it would hit a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))

    running = process("train", "--resume", run_folder, "--max-steps", "8", preexec_fn=small_files)
    out, err = running.communicate()
    assert running.returncode == 3
    assert err.count("\n") == 1 and "too large" in err.lower(), err
    assert load_checkpoint(run_folder).step == 4
    assert not list((run_folder / "checkpoints").glob(".partial*"))
    code, _, err = npgpt("train", "--resume", run_folder, "--max-steps", "8")
    assert code == 0, err
    assert load_checkpoint(run_folder).step == 8


def test_a_run_continues_from_an_older_checkpoint_and_keeps_the_newer_one_aside(npgpt, run_folder):
    npgpt("train", "--resume", run_folder, "--max-steps", "6")
    older, newer = sorted((run_folder / "checkpoints").iterdir())
    (newer / "model.safetensors").write_bytes(b"damaged")
    code, _, err = npgpt("train", "--resume", run_folder)
    assert code == 3 and str(older) in err and err.count("\n") == 1
    code, out, err = npgpt("train", "--resume", older, "--max-steps", "6")
    assert code == 0 and "from step 4" in out, err
    assert load_checkpoint(run_folder).step == 6
    assert (run_folder / "checkpoints" / "aside-step-00000006").is_dir()
    assert not (older / "checkpoints").exists()


def test_a_run_finds_its_text_from_another_folder(npgpt, story, tmp_path, monkeypatch):
    code, _, err = npgpt("train", "--corpus", "story.txt", "--out", "run", *TINY)
    assert code == 0, err
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert npgpt("eval", "../run")[0] == 0


def test_a_log_in_another_format_grows_with_the_run_also_when_it_is_not_asked_for_again(
        npgpt, story):
    assert npgpt("train", "--corpus", story, "--out", "run", *TINY, "--log", "csv")[0] == 0
    assert npgpt("train", "--resume", "run", "--max-steps", "6")[0] == 0
    rows = Path("run/log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", *"0123456"]


def test_a_format_whose_library_is_gone_does_not_keep_a_run_from_being_resumed(
        npgpt, run_folder, monkeypatch):
    (run_folder / "tensorboard").mkdir()
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    code, _, err = npgpt("train", "--resume", run_folder, "--max-steps", "5")
    assert code == 0 and err.startswith("npgpt: run/tensorboard does not grow: ")
    code, _, err = npgpt("train", "--resume", run_folder, "--log", "tensorboard")
    assert (code, err.count("\n")) == (2, 1) and "npgpt[tensorboard]" in err


@pytest.mark.parametrize("line", ["5", '{"a": 1}', "nonsense"])
def test_a_damaged_line_of_the_log_is_reported_and_costs_no_other(npgpt, run_folder, line):
    log = run_folder / "log.jsonl"
    whole = log.read_text()
    log.write_text(line + "\n" + whole + '{"step": 5, "lo')
    code, _, err = npgpt("train", "--resume", run_folder)
    assert code == 0 and log.read_text() == whole
    assert err == ("npgpt: run/log.jsonl: 1 damaged line left out; the file as it was is "
                   "run/aside-log.jsonl\n")
    assert (run_folder / "aside-log.jsonl").read_text().startswith(line + "\n")
    assert npgpt("train", "--resume", run_folder)[2] == ""


@pytest.mark.parametrize("old, new, says", [
    ("learning_rate = 0.001\n", "learning_rate = 0.01\n",
     "run/config.toml has learning_rate = 0.01 (the checkpoint: 0.001); the settings of the "
     "checkpoint count"),
    ("max_steps = 4\n", "max_steps = 9\n", "max_steps = 9 (the checkpoint: 4)"),
    ("max_steps = 4\n", "", "max_steps = 1500 (the checkpoint: 4)"),
    ("[train]", "[train", "run/config.toml is not valid TOML"),
    ("n_layer", "n_layers", "unknown key 'n_layers'"),
])
def test_an_edited_config_is_not_silently_ignored(npgpt, run_folder, old, new, says):
    config = run_folder / "config.toml"
    whole = config.read_text()
    config.write_text(whole.replace(old, new))
    assert config.read_text() != whole
    code, _, err = npgpt("train", "--resume", run_folder)
    assert code == 0 and says in err and err.count("\n") == 1
    assert config.read_text() == whole
    assert npgpt("train", "--resume", run_folder)[2] == ""


def test_a_config_of_an_earlier_version_without_keys_that_came_later_is_not_edited(
        npgpt, run_folder):
    config = run_folder / "config.toml"
    config.write_text(config.read_text().replace("lora_rank = 0\n", ""))
    code, _, err = npgpt("train", "--resume", run_folder)
    assert (code, err) == (0, "") and "lora_rank = 0\n" in config.read_text()


def test_a_setting_changed_in_an_old_checkpoint_differs_from_the_config(npgpt, run_folder):
    for checkpoint in (run_folder / "checkpoints").iterdir():
        record = json.loads((without_checksums(checkpoint) / "run.json").read_text())
        record["run"]["train"]["learning_rate"] = 0.5
        (checkpoint / "run.json").write_text(json.dumps(record))
    assert "learning_rate = 0.001 (the" in npgpt("verify", run_folder)[1]
    code, _, err = npgpt("train", "--resume", run_folder)
    assert code == 0 and "learning_rate = 0.001 (the checkpoint: 0.5)" in err


def test_what_a_killed_longer_run_asked_for_is_noted_unless_it_is_asked_for_again(
        npgpt, run_folder):
    whole = Path(shutil.copytree(run_folder, "as-it-was"))
    assert npgpt("train", "--resume", run_folder, "--max-steps", "6")[0] == 0
    for options, noted in ([], 1), (["--max-steps", "6"], 0), (["--max-steps", "7"], 1):
        shutil.rmtree(run_folder / "checkpoints")
        shutil.copytree(whole / "checkpoints", run_folder / "checkpoints")
        config = (run_folder / "config.toml").read_text()
        code, _, err = npgpt("train", "--resume", run_folder, *options)
        assert code == 0 and err.count("\n") == noted, err
        (run_folder / "config.toml").write_text(config)


@pytest.mark.skipif(os.name != "posix", reason="Windows renames no folder that is in use")
@pytest.mark.parametrize("go", [
    lambda folder: folder.rename("elsewhere"),
    lambda folder: shutil.rmtree(folder, ignore_errors=True),
    lambda folder: [shutil.rmtree(part, ignore_errors=True) if part.is_dir() else
                    part.unlink(missing_ok=True) for part in folder.iterdir()],
    # the run may make a folder of its own there meanwhile
    lambda folder: (folder.rename("elsewhere"),
                    shutil.copytree("elsewhere", folder, dirs_exist_ok=True)),
])
def test_a_run_whose_folder_is_renamed_deleted_or_replaced_ends_with_3_and_loses_nothing(
        npgpt, process, run_folder, go):
    log = run_folder / "log.jsonl"
    begun = len(log.read_text().splitlines())
    running = process("train", "--resume", run_folder, "--max-steps", "1000000")
    while len(log.read_text().splitlines()) <= begun:
        assert running.poll() is None, running.stderr.read()
    go(run_folder)
    out, err = running.communicate()
    assert (running.returncode, err.count("\n")) == (3, 1), err
    assert "run was renamed, deleted or replaced while the run went on" in err
    step = load_checkpoint(Path("aside-run")).step
    assert f"the state after step {step} is saved" in err and step > 4
    code, _, err = npgpt("train", "--resume", "aside-run", "--max-minutes", "0.0001")
    assert code == 0, err


def test_help_shows_what_every_flag_means_and_the_presets_defaults(npgpt):
    out = " ".join(npgpt("train", "--help")[1].split())
    assert "--n-layer N Blocks (default 4)" in out
    assert "--threads N Threads to compute with; 0 is one per core (default 0)" in out
    assert "the preset finetune: --batch-size 1, " in out and "--lora-rank 8, --learning" in out


def test_a_model_is_fine_tuned_on_another_text(npgpt, run_folder, tmp_path):
    Path("mine.txt").write_text(Path(tomllib.loads((run_folder / "config.toml").read_text())[
        "data"]["corpus"]).read_text()[::-1])
    begin = ["train", "--init-from", run_folder, "--corpus", "mine.txt"]
    code, out, err = npgpt(*begin, "--max-steps", "3", "--out", "tuned")
    assert code == 0 and "--warmup-steps 10 is not below --max-steps 3" in err
    assert f"begins as  {newest_checkpoint(run_folder).resolve()}\n" in out
    # killed before any checkpoint, it begins there again
    shutil.rmtree("tuned/checkpoints")
    (run_folder / "config.toml").unlink()
    assert npgpt("train", "--resume", "tuned")[0] == 0
    tuned, before = load_checkpoint(Path("tuned")), load_checkpoint(run_folder)
    assert tuned.step == 3
    for name, array in before.params.items():       # three steps of the preset's low rate
        np.testing.assert_allclose(tuned.params[name], array, atol=1e-4)


@pytest.mark.parametrize("given, said", [
    (["--from", "scratch"],
     (2, "--from scratch: leave it out; a new model is what a run begins with")),
    (["--from", "resume"], (2, "--from resume: a run is continued by --resume RUN")),
    (["--from", "a/b/nope"], (3, "a/b/nope: no such file or folder")),
    (["--preset", "finetune"],
     (2, "the preset finetune needs --from, the model to begin with")),
    (["--lora-rank", "2"],
     (2, "--lora-rank needs --from, the model whose weights stay as they are")),
])
def test_fine_tuning_needs_a_model(npgpt, story, given, said):
    code, _, err = npgpt("train", "--corpus", story, *given)
    assert (code, err) == (said[0], f"npgpt: {said[1]}\n")


def test_updates_are_trained_merged_and_exported(npgpt, run_folder, story):
    begin = ["train", "--from", run_folder, "--corpus", story, "--max-steps", "3"]
    code, out, _ = npgpt(*begin, "--lora-rank", "2", "--lora-on", "c_attn,c_proj", "--out", "lora")
    assert code == 0 and "\ntrained    " in out and " of them, " in out
    settings = tomllib.loads(Path("lora/config.toml").read_text())
    assert settings["train"]["learning_rate"] == 5e-4 and settings["model"]["lora_rank"] == 2
    code, _, err = npgpt("convert", "lora", "merged")
    assert code == 2 and "--merge folds them into the weights" in err
    assert npgpt("convert", "lora", "merged", "--merge")[0] == 0
    ids = [1, 2, 3]
    np.testing.assert_allclose(
        open_model("merged")[0].logits(ids), open_model("lora")[0].logits(ids), atol=1e-6)
    assert npgpt("verify", "lora")[0] == 0 and npgpt("eval", "lora", "--int8")[0] == 0
    code, out, _ = npgpt(*begin, "--freeze", "wte,h.0", "--n-positions", "4", "--out", "frozen")
    assert code == 0 and "context 4\n" in out and "\ntrained    " in out
    assert npgpt("train", "--resume", "frozen", "--max-steps", "4", "--patience", "3")[0] == 0


def test_one_held_out_example_is_enough_and_one_model_to_begin_with(npgpt, run_folder):
    Path("two.tsv").write_text("y\tthe \nn\tthe the \n")
    begin = ["train", "--from", run_folder, "--corpus", "two.tsv", "--task", "classify"]
    code, out, err = npgpt(*begin, "--max-steps", "1", "--out", "two")
    assert code == 0 and "% of the 1 held-out texts\n" in out, err
    code, _, err = npgpt(*begin, "--from", "gpt2")
    assert code == 2 and f"got both {run_folder} and gpt2; expected one" in err


def test_an_instruction_is_put_into_the_words_that_were_learned(npgpt, tmp_path):
    config = GPT2Config(vocab_size=50257, n_positions=64, n_embd=4, n_layer=1, n_head=2)
    TextModel(GPT2.init(config), BPETokenizer()).save(tmp_path / "model")
    Path("i.jsonl").write_text('{"instruction": "Say.", "output": "yes"}\n' * 8)
    code, out, err = npgpt("train", "--from", "model", "--corpus", "i.jsonl", "--task", "instruct",
                           "--max-steps", "4", "--eval-every", "1", "--patience", "1",
                           "--learning-rate", "0.9", "--warmup-steps", "0", "--out", "run")
    assert code == 0 and "try        npgpt generate run --instruct " in out, err
    assert f"\nmodel      {model_checkpoint(Path('run'))}" in out
    code, out, _ = npgpt("generate", "run", "--instruct", "Say.", "--max-new-tokens", "2")
    assert code == 0 and "Instruction" not in out
    code, _, err = npgpt("generate", "run", "--instruct", "--interactive")
    assert code == 2 and "--instruct needs a PROMPT" in err


def test_a_classifier_reports_its_accuracy_and_writes_no_text(npgpt, run_folder):
    Path("mine.jsonl").write_text("".join(
        json.dumps({"text": "the " * (1 + n % 3), "label": "yn"[n % 2]}) + "\n" for n in range(20)))
    code, out, err = npgpt("train", "--from", run_folder, "--corpus", "mine.jsonl", "--task",
                           "classify", "--max-steps", "2", "--out", "judge")
    assert code == 0, err
    assert "\nlabels     n, y\n" in out and "% of the 2 held-out texts\n" in out
    code, _, err = npgpt("generate", "judge", "the ")
    assert (code, err.count("\n")) == (2, 1) and "is a classifier (n_labels=2)" in err
    assert npgpt("eval", "judge", "mine.jsonl")[::2] == (2, err) and npgpt("eval", "judge")[0] == 0
    judge = load("judge")
    assert "classifier of 2 labels" in repr(judge) and "labels n, y" in repr(judge)
    with pytest.raises(ValueError, match="is a classifier"):
        judge.score("the ")
    given = judge.classify("the the ")
    assert [*given] == ["n", "y"] and sum(given.values()) == pytest.approx(1.0)
    assert npgpt("convert", "judge", "exported")[0] == 0
    assert load("exported").classify("the the ") == pytest.approx(given)
    config = json.loads(Path("exported/config.json").read_text())
    assert config["id2label"] == {"0": "n", "1": "y"} and config["label2id"] == {"n": 0, "y": 1}
    code, _, err = npgpt("train", "--corpus", "mine.jsonl", "--task", "instruct")
    assert code == 2 and "name one with --from" in err


def test_help_begins_with_the_eight_options_that_a_newcomer_wants(npgpt, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = npgpt("train", "--help")[1]
    first = out.split("to begin with:")[1].split("\n\n")[0]
    assert [line.split()[0] for line in first.splitlines() if line.startswith("  --")] == [
        "--preset", "--corpus", "--tokenizer", "--n-layer", "--n-embd", "--max-steps", "--out",
        "--resume"]
    variants = out.split("variants of the model, for studies:")[1].split("\n\n")[0]
    assert "--norm" in variants and "--n-positions" not in variants


def test_nanogpts_recipe_is_read_by_its_own_names():
    given = parse(["train", *(
        "--eval_iters=20 --block_size=64 --batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 "
        "--max_iters=2000 --lr_decay_iters=2000 --dropout=0.0 --learning_rate=1e-3").split()])
    assert (given.eval_batches, given.n_positions, given.batch_size) == (20, 64, 12)
    assert (given.max_steps, given.decay_steps, given.learning_rate) == (2000, 2000, 1e-3)
    assert (given.resid_pdrop, given.embd_pdrop, given.attn_pdrop) == (0.0, 0.0, 0.0)


def test_a_vocabulary_of_the_texts_own_is_learned_saved_and_exported(npgpt, story, tmp_path):
    small = ["--max-steps", "1", "--n-layer", "1", "--n-embd", "8", "--n-head", "2",
             "--n-positions", "8", "--sequence-length", "8", "--batch-size", "2", "--warmup-steps",
             "0"]
    code, out, err = npgpt("train", "--corpus", story, "--tokenizer", "gpt2", "--out", "large",
                           *small)
    assert code == 0 and "of the parameters are rows of GPT-2's vocabulary" in err
    code, out, err = npgpt("train", "--corpus", story, "--tokenizer", "bpe:280", "--out", "own",
                           *small)
    assert (code, err) == (0, "") and "vocabulary of 280 (bpe)" in out
    assert npgpt("convert", "own", "exported")[0] == 0
    tokenizer = open_model(tmp_path / "exported")[1]
    assert tokenizer == open_model(tmp_path / "own")[1] and tokenizer.vocab_size == 280
    assert npgpt("train", "--resume", "own", "--max-steps", "2")[0] == 0
