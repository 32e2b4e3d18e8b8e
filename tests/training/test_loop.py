"""The loop: it learns, it continues bit for bit, it survives kills, it stops before damage."""

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from npgpt.files import InUse, locked
from npgpt.machine import threads
from npgpt.ops import TEXTBOOK
from npgpt.tape import Op
from npgpt.text import CorpusError
from npgpt.training import loop
from npgpt.training.checkpoint import checkpoints, load_checkpoint
from npgpt.training.log import read_log
from npgpt.training.loop import train
from npgpt.training.step.workers import Workers
from npgpt.training.update import Diverged

from .conftest import SMALL, Silent


def after(n):
    """A should_stop that says yes when asked for the n-th time."""
    asked = iter(range(1, 10**6))
    return lambda: next(asked) == n


def same_state(a, b):
    for name in ("params", "mean", "square"):
        x, y = getattr(a, name), getattr(b, name)
        assert x.keys() == y.keys()
        for key in x:
            np.testing.assert_array_equal(x[key], y[key], err_msg=f"{name} {key}")
    assert a.step == b.step


def log_without_times(folder):
    return [{k: v for k, v in record.items() if k != "tokens_per_second"}
            for record in read_log(folder)]


def test_the_loss_falls_below_what_counting_letters_gives(start, corpus, tmp_path):
    state = start(max_steps=150, grad_accumulation=1, learning_rate=1e-2, min_learning_rate=1e-3,
                  batch_size=8, sample_every=0, eval_every=50, checkpoint_every=150)
    outcome = train(tmp_path / "run", state, corpus, Silent())
    assert outcome.reason == "finished" and outcome.step == 150
    assert outcome.val_loss < corpus.unigram_entropy() - 0.5


def test_a_layer_of_ones_own_trains_in_place_of_the_textbooks(start, corpus, tmp_path):
    calls = []

    def layernorm_forward(x, weight, bias, *, eps):
        calls.append("forward")
        return TEXTBOOK.layernorm.forward(x, weight, bias, eps=eps)

    def layernorm_backward(dout, cache):
        calls.append("backward")
        return TEXTBOOK.layernorm.backward(dout, cache)

    mine = replace(TEXTBOOK, layernorm=Op("layernorm", layernorm_forward, layernorm_backward))
    trained = {}
    for name, ops in (("mine", mine), ("textbook", TEXTBOOK)):
        state = start(eval_batches=1)
        state.ops = ops
        assert train(tmp_path / name, state, corpus, Silent()).reason == "finished"
        trained[name] = state
    # 5 norms in each of 12 steps of 2 batches; evaluation and samples go forward alone
    assert calls.count("backward") == 5 * 12 * 2 < calls.count("forward")
    same_state(trained["mine"], trained["textbook"])


@pytest.mark.smoke
def test_a_run_writes_what_it_promises(start, corpus, tmp_path):
    reporter = Silent()
    outcome = train(tmp_path / "run", start(), corpus, reporter)
    records = read_log(tmp_path / "run")
    assert [r["step"] for r in records] == list(range(13)) == [r["step"] for r in reporter.records]
    assert all({"loss", "lr", "grad_norm", "tokens_per_second"} <= r.keys() for r in records[1:])
    assert [r["step"] for r in records if "val" in r] == [0, 5, 10, 12]
    assert sorted(p.name for p in (tmp_path / "run" / "samples").iterdir()) == [
        "step-00000006.txt", "step-00000012.txt"]
    assert all(len(text) == 5 for _, text in reporter.samples)
    assert [p.name for p in checkpoints(tmp_path / "run")] == ["step-00000008", "step-00000012"]
    assert outcome.checkpoint == checkpoints(tmp_path / "run")[-1]
    assert (tmp_path / "run" / "config.toml").is_file()


@pytest.mark.smoke
@pytest.mark.parametrize("stop", [1, 4, 7, 11])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(start, corpus, tmp_path, stop):
    whole = start()
    train(tmp_path / "whole", whole, corpus, Silent())
    part = start()
    first = train(tmp_path / "parts", part, corpus, Silent(), lambda: part.step >= stop)
    assert (first.reason, first.step, first.val_loss) == ("interrupted", stop, None)
    state = load_checkpoint(tmp_path / "parts")
    assert state.step == stop
    train(tmp_path / "parts", state, corpus, Silent())
    same_state(state, whole)
    assert log_without_times(tmp_path / "parts") == log_without_times(tmp_path / "whole")
    for path in (tmp_path / "whole" / "samples").iterdir():
        assert path.read_bytes() == (tmp_path / "parts" / "samples" / path.name).read_bytes()


def test_a_run_in_worker_processes_is_resumed_bit_for_bit_whenever_they_come(
        start, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(threads.THRESHOLDS, "shard_work", 0)
    settings = {"threads": 2, "max_steps": 60, "sample_every": 0}
    asked, ready = [], Workers.ready

    def late(self, *given):
        """They are missing in the first ten of 60 x 2 batches, and there in all others."""
        asked.append(1)
        while not ready(self, *given) and len(asked) > 10:
            assert self.count == 1, "the workers did not start"
            time.sleep(0.01)
        return len(asked) > 10

    whole = start(**settings)
    with monkeypatch.context() as patch:
        patch.setattr(Workers, "ready", late)
        train(tmp_path / "whole", whole, corpus, Silent())
    assert len(asked) == 2 * 60
    train(tmp_path / "parts", start(**settings), corpus, Silent(), after(30))
    state = load_checkpoint(tmp_path / "parts")
    train(tmp_path / "parts", state, corpus, Silent())
    same_state(state, whole)


def test_a_run_killed_at_its_very_first_checkpoint_logs_step_0_once(start, corpus, tmp_path):
    train(tmp_path / "whole", start(), corpus, Silent())
    train(tmp_path / "parts", start(), corpus, Silent(), after(1))
    import shutil

    # what a kill right after the first checkpoint leaves
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "step-00000001")
    state = load_checkpoint(tmp_path / "parts")
    assert state.step == 0
    train(tmp_path / "parts", state, corpus, Silent())
    assert log_without_times(tmp_path / "parts") == log_without_times(tmp_path / "whole")


CHILD = """
import sys
from pathlib import Path
from npgpt.text import load_corpus
from npgpt.training.checkpoint import checkpoints, load_checkpoint
from npgpt.training.loop import new_state, train
from npgpt.training.settings import resolve
from tests.training.conftest import SMALL, Silent

folder, text, cache = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
corpus = load_corpus(text, "char", 0.1, cache_dir=cache)
if checkpoints(folder):
    state = load_checkpoint(folder)
else:
    run = resolve(None, None, {**SMALL, "corpus": text, "max_steps": 60, "checkpoint_every": 1})
    state = new_state(run, corpus)


class Loud(Silent):
    def step(self, record):
        # it goes on when somebody writes a line, or nobody can any more
        print(record["step"], flush=True)
        sys.stdin.readline()


train(folder, state, corpus, Loud())
"""


def child(folder, text_file, cache):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(text_file), str(cache)],
        cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )


@pytest.mark.parametrize("times", [pytest.param(2, marks=pytest.mark.smoke), 10])
def test_killed_at_random_moments_the_newest_checkpoint_always_loads(
        start, corpus, text_file, tmp_path, times):
    rng = np.random.default_rng(times)
    folder, cache = tmp_path / "run", tmp_path / "cache"
    steps = []
    for _ in range(times):
        process = child(folder, text_file, cache)
        for _ in range(rng.integers(1, 5)):
            process.stdout.readline()
            process.stdin.write("\n")
            process.stdin.flush()
        # a checkpoint and a step take some milliseconds: it may be anywhere in them
        time.sleep(rng.uniform(0.0, 0.01))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.stdin.close()
        process.stdout.close()
        if checkpoints(folder):
            steps.append(load_checkpoint(folder).step)
    assert steps and steps == sorted(steps)
    last = child(folder, text_file, cache)
    last.communicate()
    assert last.returncode == 0
    whole = start(max_steps=60, checkpoint_every=1)
    train(tmp_path / "whole", whole, corpus, Silent())
    same_state(load_checkpoint(folder), whole)
    assert log_without_times(folder) == log_without_times(tmp_path / "whole")


def test_what_a_killed_writer_left_is_cleared_when_the_run_goes_on(start, corpus, tmp_path):
    train(tmp_path, start(), corpus, Silent(), after(1))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "checkpoints" / f".partial-{ended.pid}-step-00000009").mkdir()
    for name in ("config.toml", "result.json", "log.jsonl"):
        (tmp_path / f".partial-{ended.pid}-{name}").write_text("half")
    train(tmp_path, load_checkpoint(tmp_path), corpus, Silent(), after(1))
    assert not list(tmp_path.rglob(".partial*"))


def test_a_damaged_log_is_reported_and_only_its_damaged_lines_are_lost(start, corpus, tmp_path):
    train(tmp_path, start(), corpus, Silent(), after(5))
    log = tmp_path / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join([*lines[:3], lines[3][1:], *lines[4:]]))
    reporter = Silent()
    train(tmp_path, load_checkpoint(tmp_path), corpus, reporter, after(1))
    assert log.read_text().splitlines(keepends=True)[:5] == [*lines[:3], *lines[4:]]
    assert reporter.notes == [f"{log}: 1 damaged line left out; the file as it was is "
                              f"{tmp_path / 'aside-log.jsonl'}"]


def test_a_run_that_goes_on_from_an_older_checkpoint_sets_its_later_log_aside(
        start, corpus, tmp_path):
    train(tmp_path, start(), corpus, Silent(), after(8))
    log = (tmp_path / "log.jsonl").read_text()
    train(tmp_path, load_checkpoint(checkpoints(tmp_path)[0]), corpus, Silent(), after(1))
    assert (tmp_path / "aside-log.jsonl").read_text() == log


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_number_stops_within_one_step_and_names_the_first_bad_parameter(
        start, corpus, tmp_path, bad):
    state = start(attn_pdrop=0.0)
    train(tmp_path / "run", state, corpus, Silent(), after(5))
    state.params["h.1.mlp.c_fc.weight"][2, 3] = bad
    with pytest.raises(Diverged) as caught:
        train(tmp_path / "run", state, corpus, Silent())
    assert "h.1.mlp.c_fc.weight" in str(caught.value)
    kept = load_checkpoint(tmp_path / "run")
    assert kept.step == 5 and all(np.isfinite(a).all() for a in kept.params.values())


def test_an_update_into_infinity_is_never_saved(start, corpus, tmp_path):
    state = start(learning_rate=1e39, min_learning_rate=0.0, warmup_steps=0, checkpoint_every=1,
                  sample_every=0)
    with pytest.raises(Diverged):
        train(tmp_path / "run", state, corpus, Silent())
    kept = load_checkpoint(tmp_path / "run")
    assert all(np.isfinite(a).all() for a in kept.params.values())


def test_a_run_has_a_worker_for_each_thread_but_one_where_enough_steps_remain(start, monkeypatch):
    monkeypatch.setattr(threads.THRESHOLDS, "shard_work", 0)
    for wanted, settings in {2: {"threads": 3}, 0: {"threads": 1}, 1: {"threads": 2}}.items():
        assert loop.workers_for(start(max_steps=20, **settings)).count == wanted
        assert loop.workers_for(start(max_steps=19, **settings)).count == 0


def test_time_runs_out_with_a_checkpoint(start, corpus, tmp_path):
    state = start(max_steps=100_000, max_minutes=0.005, sample_every=0, eval_every=100_000,
                  checkpoint_every=100_000)
    outcome = train(tmp_path / "run", state, corpus, Silent())
    assert outcome.reason == "out of time" and 0 < outcome.step < 100_000
    assert load_checkpoint(tmp_path / "run").step == outcome.step


def test_a_stop_in_the_last_evaluation_leaves_a_finished_run_without_a_result(
    start, corpus, tmp_path
):
    outcome = train(tmp_path / "run", start(sample_every=0), corpus, Silent(),
                    after(SMALL["max_steps"] + 1))
    assert (outcome.reason, outcome.step, outcome.val_loss) == ("finished", 12, None)
    assert not (tmp_path / "run" / "result.json").exists()
    state = load_checkpoint(tmp_path / "run")
    assert train(tmp_path / "run", state, corpus, Silent()).val_loss is not None
    assert (tmp_path / "run" / "result.json").exists()


def test_a_text_too_short_for_one_sequence_is_named(start, corpus, tmp_path):
    state = start(n_positions=512, sequence_length=512)
    with pytest.raises(CorpusError, match="513"):
        train(tmp_path / "run", state, corpus, Silent())
    assert not (tmp_path / "run").exists()


def test_training_where_another_trains_writes_nothing(start, corpus, tmp_path):
    with locked(tmp_path):
        before = sorted(tmp_path.iterdir())
        with pytest.raises(InUse):
            train(tmp_path, start(), corpus, Silent())
        assert sorted(tmp_path.iterdir()) == before
    train(tmp_path, start(max_steps=1), corpus, Silent())
    with locked(tmp_path):
        pass


def test_no_checkpoint_is_written_before_the_disk_has_the_log_up_to_it(
    start, corpus, tmp_path, monkeypatch
):
    log, on_disk = tmp_path / "log.jsonl", []
    fsync, save = os.fsync, loop.save_checkpoint

    def synced(handle):
        fsync(handle)
        if log.exists() and os.path.samestat(os.fstat(handle), log.stat()):
            on_disk[:] = read_log(tmp_path)

    def saved(folder, state, best):
        assert [record["step"] for record in on_disk] == list(range(state.step + 1))
        return save(folder, state, best)

    monkeypatch.setattr("os.fsync", synced)
    monkeypatch.setattr(loop, "save_checkpoint", saved)
    train(tmp_path, start(), corpus, Silent())
    assert len(on_disk) == SMALL["max_steps"] + 1


def test_a_caller_may_hold_the_folder(start, corpus, tmp_path):
    with locked(tmp_path):
        assert train(tmp_path, start(max_steps=1), corpus, Silent(), held=True).step == 1
        with pytest.raises(InUse):
            train(tmp_path, start(max_steps=1), corpus, Silent())
