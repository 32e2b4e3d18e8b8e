"""npgpt entropy, and npgpt train --watch, as a user meets them."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from npgpt import GPT2
from npgpt.evaluation.text import evaluation_batches
from npgpt.opening import open_model
from npgpt.probe.activity import measure
from npgpt.probe.entropy import causal_bound
from npgpt.text import load_corpus
from npgpt.training.checkpoint import newest_checkpoint
from npgpt.training.log import read_log

from .conftest import TINY, put_model


def widest(out):
    """Columns of the widest line, but for the one with the text's path."""
    return max(len(line) for line in out.splitlines() if not line.startswith("text "))


def test_a_run_is_measured_on_its_held_out_text(npgpt, run_folder, story):
    code, out, err = npgpt("entropy", run_folder, "--json", "all.json", "--sequences", "3")
    assert code == 0, err
    assert widest(out) <= 80
    assert "sequences  3, of T = 8" in out and "NaN        0 of 2 heads" in out
    assert "layer 0   " in out and "\033" not in out and f"{causal_bound(8):.4f}" in out
    model, tokenizer = open_model(run_folder)
    ids, targets = next(evaluation_batches(load_corpus(story, tokenizer).val, 3, 8, 1))
    seen = measure(model.params, model.config, ids, targets)
    written = json.loads(Path("all.json").read_text())
    np.testing.assert_allclose(written["nats"], seen.nats)
    assert written["stream"] == pytest.approx(seen.stream)
    assert sum(written["quartiles"]["of_bound"]["shares"]) == 1


def test_another_text_and_length_are_taken(npgpt, run_folder, tmp_path):
    (tmp_path / "other.txt").write_text("the dog sat on the mat and looked at a cat")
    code, out, err = npgpt("entropy", run_folder, "other.txt", "--length", "4", "--color", "always")
    assert code == 0, err
    assert "of T = 4" in out and "\033[38;5;" in out


def test_a_wide_model_fits_80_columns(npgpt, story):
    code, _, err = npgpt("train", "--corpus", story, "--out", "wide", *TINY, "--n-embd", "100",
                         "--n-layer", "2", "--n-head", "50", "--max-steps", "1")
    assert code == 0, err
    code, out, err = npgpt("entropy", "wide", story, "--split", "all")
    assert code == 0, err
    assert widest(out) <= 80 and "h49" in out


def test_broken_heads_are_shown_and_counted(npgpt, run_folder):
    model, _ = open_model(run_folder)
    params = {name: np.array(array) for name, array in model.params.items()}
    # overflows: the scores become infinite, and their softmax NaN
    params["h.0.attn.c_attn.weight"] *= 1e30
    put_model(GPT2(model.config, params), newest_checkpoint(run_folder))
    code, out, err = npgpt("entropy", run_folder, "--json", "all.json")
    assert code == 0, err
    assert "nan" in out and "!!" in out and "2 of 2 heads" in out and "first to break" in out
    written = json.loads(Path("all.json").read_text())
    assert written["nats"] == [["nan", "nan"]] and written["quartiles"]["of_greatest"] is None


@pytest.mark.parametrize("option", ["png", "svg"])
def test_the_picture_is_written(npgpt, run_folder, tmp_path, option):
    pytest.importorskip("matplotlib")
    code, out, err = npgpt("entropy", run_folder, f"--{option}", f"map.{option}")
    assert code == 0, err
    assert (tmp_path / f"map.{option}").stat().st_size > 1000 and f"map.{option}" in out


def test_without_matplotlib_one_line_names_the_extra(npgpt, run_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = npgpt("entropy", run_folder, "--png", "map.png")
    assert (code, out, err.count("\n")) == (2, "", 1) and "npgpt[plot]" in err


@pytest.mark.parametrize("arguments, code, says", [
    (["run", "--length", "9"], 2, "from 1 to 8"),
    (["run", "--length", "0"], 2, "from 1 to 8"),
    (["run", "--sequences", "0"], 2, "--sequences=0"),
    (["run", "--png", "map.svg"], 2, ".png"),
    (["run", "--svg", "nowhere/map.svg"], 3, "no such folder"),
    (["nowhere"], 3, "nowhere"),
    (["run", "missing.txt"], 3, "missing.txt"),
])
def test_mistakes_are_one_line(npgpt, run_folder, arguments, code, says):
    got, _, err = npgpt("entropy", *arguments)
    assert (got, err.count("\n")) == (code, 1) and says in err


def test_a_terminal_without_blocks_gets_plain_characters(npgpt, run_folder, process):
    running = process("entropy", run_folder, env={"PYTHONIOENCODING": "ascii"})
    out, err = running.communicate()
    assert running.returncode == 0, err
    assert out.isascii() and "?" not in out


def test_a_watched_run_writes_to_its_log_and_keeps_watching(npgpt, story):
    code, _, err = npgpt("train", "--corpus", story, "--out", "run", *TINY,
                         "--watch", "entropy,gradients", "--watch-every", "2")
    assert code == 0, err
    assert npgpt("train", "--resume", "run", "--max-steps", "7")[0] == 0
    watched = {r["step"]: set(r["watch"]) for r in read_log(story.parent / "run") if "watch" in r}
    assert watched == {step: {"entropy", "gradients"} for step in (0, 2, 4, 6, 7)}


@pytest.mark.parametrize("arguments, says", [
    (["--watch", "entropie"], "did you mean 'entropy'"),
    (["--watch", "entropy,loss"], "expected some of entropy, gradients, activations, updates"),
    (["--watch", "entropy", "--watch-every", "0"], "watch_every=0"),
])
def test_an_unknown_thing_to_watch_is_one_line(npgpt, story, arguments, says):
    code, _, err = npgpt("train", "--corpus", story, *TINY, *arguments)
    assert (code, err.count("\n")) == (2, 1) and says in err
