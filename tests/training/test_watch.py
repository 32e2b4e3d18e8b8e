"""A watched run: what its log holds, that it changes nothing, and that it continues the same."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from npgpt.cli import main
from npgpt.machine import blas
from npgpt.probe.activity import measure
from npgpt.probe.entropy import causal_bound
from npgpt.text import load_corpus
from npgpt.training.checkpoint import load_checkpoint
from npgpt.training.log import read_log
from npgpt.training.loop import new_state, train
from npgpt.training.settings import resolve
from npgpt.training.update import Diverged
from npgpt.training.watch import TrainingWatch

from ..stories import write_story
from .conftest import SMALL, Silent

ALL = "entropy,gradients,activations,updates"
TIMES = ("tokens_per_second", "watch_seconds")


@pytest.fixture
def story(tmp_path):
    return write_story(tmp_path, lines=120)


@pytest.fixture
def go(story, tmp_path):
    """Train into a folder, from the start or from a state; gives the final state."""
    corpus = load_corpus(str(story), "char", 0.1, cache_dir=tmp_path / "cache")

    def run(folder, state=None, stop=lambda: False, **changes):
        if state is None:
            settings = {**SMALL, "corpus": str(story), "watch": ALL, "watch_every": 5,
                        "sample_every": 0, **changes}
            state = new_state(resolve(None, None, settings), corpus)
        train(tmp_path / folder, state, corpus, Silent(), stop)
        return state

    return run


def without_times(folder):
    """The records of steps; what such tiny runs log at their end is the cost of their probes."""
    return [{k: v for k, v in r.items() if k not in TIMES}
            for r in read_log(folder) if "watch_share" not in r]


def last_watched(folder):
    return [r["watch"] for r in read_log(folder) if "watch" in r][-1]


def test_watched_steps_hold_what_was_named(go, tmp_path):
    go("run")
    records = {r["step"]: r["watch"] for r in read_log(tmp_path / "run") if "watch" in r}
    assert list(records) == [0, 5, 10, 12]
    assert [set(r) for r in records.values()] == [
        {"entropy", "gradients", "activations"}] + 3 * [set(ALL.split(","))]
    entropy = records[5]["entropy"]
    assert np.shape(entropy["nats"]) == np.shape(entropy["sink"]) == (2, 2)
    assert entropy["bound"] == pytest.approx(causal_bound(8), rel=1e-5) and entropy["nan"] == 0
    groups = {"wte", "wpe", "h.0.attn", "h.0.mlp", "h.1.attn", "h.1.mlp", "ln_f"}
    assert set(records[5]["gradients"]) == set(records[5]["updates"]) == groups
    activations = records[5]["activations"]
    assert len(activations.pop("stream")) == 3
    assert (activations.pop("nan"), activations.pop("inf")) == (0, 0)
    assert activations.pop("first_break") is None
    assert {name: len(values) for name, values in activations.items()} == {
        "mean": 2, "rms": 2, "zeros": 2, "saturated": 2}
    numbers = np.ravel(entropy["nats"] + entropy["sink"]).tolist() + activations["rms"]
    assert all(number == float(f"{number:.6g}") for number in numbers)
    assert all(1e-5 < ratio < 1 for ratio in records[5]["updates"].values() if ratio != "inf")


@pytest.mark.parametrize("named", [["updates", "entropy"], ["gradients"]])
def test_a_subset_is_watched_alone(go, tmp_path, named):
    go("run", watch=", ".join(named))
    watched = [r["watch"] for r in read_log(tmp_path / "run") if "watch" in r]
    assert [set(w) for w in watched] == [{*named} - {"updates"}] + 3 * [{*named}]


def test_a_probe_leaves_blas_one_thread(go, tmp_path, monkeypatch):
    seen = []

    def counting(*args):
        seen.append({lib["num_threads"] for lib in threadpool_info()
                     if lib["user_api"] == "blas" and "scipy.libs" not in lib["filepath"]})
        return measure(*args)

    monkeypatch.setattr("npgpt.training.watch.measure", counting)
    with blas.limited(2):
        go("run", max_steps=1)
    assert seen == [{1}, {1}]


def test_watching_changes_nothing_of_the_run(go, tmp_path):
    a, b = go("watched"), go("not", watch="")
    assert all((a.params[name] == b.params[name]).all() for name in a.params)
    plain = without_times(tmp_path / "not")
    assert [{k: v for k, v in r.items() if k != "watch"}
            for r in without_times(tmp_path / "watched")] == plain


@pytest.mark.parametrize("stop", [1, 4, 5, 11])
def test_a_resumed_run_watches_on_and_logs_the_same(go, tmp_path, stop):
    whole = go("whole")
    asked = iter(range(1, 100))
    go("parts", stop=lambda: next(asked) == stop)
    state = go("parts", load_checkpoint(tmp_path / "parts"))
    assert all((state.params[name] == whole.params[name]).all() for name in whole.params)
    assert without_times(tmp_path / "parts") == without_times(tmp_path / "whole")


def test_the_probe_is_the_same_held_out_text_at_every_step(go, story, tmp_path):
    state = go("run")
    corpus = load_corpus(str(story), "char", 0.1, cache_dir=tmp_path / "cache")
    watch = TrainingWatch(state, corpus.val)
    ids, targets = watch.probe
    assert ids.shape == (4, 8)
    seen = measure(state.params, state.config, ids, targets, ["entropy"])
    last = last_watched(tmp_path / "run")["entropy"]
    np.testing.assert_allclose(last["nats"], seen.nats, rtol=1e-5)


def test_updates_are_those_of_this_very_step(go, story, tmp_path):
    state = go("run", max_steps=5, checkpoint_every=1)
    last = last_watched(tmp_path / "run")["updates"]
    before = load_checkpoint(tmp_path / "run" / "checkpoints" / "step-00000004").params
    moved = state.params["wte.weight"].astype(float) - before["wte.weight"]
    expected = np.linalg.norm(moved) / np.linalg.norm(before["wte.weight"])
    assert last["wte"] == pytest.approx(expected, rel=1e-4)


def test_a_diverged_run_names_the_first_layer_to_break(go, tmp_path):
    with pytest.raises(Diverged, match="the first layer to break is"):
        go("run", learning_rate=1e20, grad_clip=0.0, warmup_steps=0, norm="none", final_norm=False)
    last = read_log(tmp_path / "run")[-1]
    assert last["first_break"] and isinstance(last["grad_norm"], str)


class Clock:
    """Seconds that pass when a test says so, and one in every reading."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        self.seconds += 1.0
        return self.seconds


@pytest.mark.parametrize("fraction, rarely", [(0.051, 6), (0.1, 11), (0.5, 95)])
def test_probes_that_take_too_much_time_give_a_warning_that_says_what_would_take_less(
        go, story, tmp_path, fraction, rarely):
    corpus = load_corpus(str(story), "char", 0.1, cache_dir=tmp_path / "cache")
    state, clock = go("run"), Clock()
    watch = TrainingWatch(state, corpus.val, clock)         # begins at 1
    assert watch.fraction == 0 and watch.warning() == ""
    for _ in range(100):
        watch(state, None)                                  # a second each, between two readings
    clock.seconds = 100 / fraction                          # and one more in the next reading
    assert watch.warning() == (
        f"probes (watch) took {fraction:.0%} of the run's time; --watch-every {rarely} instead of "
        f"5 would take about 5%")
    # per step 1 of work, and a probe that takes its fraction of 5 steps
    probe = 5 * fraction / (1 - fraction)
    assert probe / (rarely + probe) <= 0.05 < probe / (rarely - 1 + probe)


def test_at_its_end_a_run_reports_the_cost_here_and_in_its_log(
        story, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NPGPT_CACHE", str(tmp_path / "cache"))
    settings = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    watched = [f"--watch={ALL}", "--watch-every=1"]
    fraction = {"dear": 0.25, "cheap": 0.01}
    for name in fraction:
        monkeypatch.setattr(TrainingWatch, "fraction", fraction[name])
        assert main(["train", f"--corpus={story}", f"--out={name}", *settings, *watched]) == 0
        last, warned = read_log(tmp_path / name)[-1], capsys.readouterr().err
        assert ("npgpt: probes (watch) took 25% of the run's time" in warned) == (name == "dear")
        assert (last == {"step": 12, "watch_share": 0.25}) == (name == "dear")
