"""What train shows: whose each layer is, how often it ran, the loss, a sample, the speed."""

import math
import os
import re

import pytest

from npgpt.fast.ops import FAST
from npgpt.learn.exercise import read_course
from npgpt.learn.own import PARTS
from npgpt.learn.training import Plan, Stopped, corpus, train
from npgpt.learn.training_report import ENDS, report
from npgpt.learn.workspace import start

PLAN = Plan(steps=3, batch_size=2, length=8, n_embd=8, n_head=2)


@pytest.fixture
def space(tmp_path):
    return start(tmp_path)[0]


def put(space, name, change=lambda source: source):
    exercise = space.find(name)
    space.path(exercise).write_text(change(exercise.solution), encoding="utf-8")


def test_it_says_which_layers_are_the_learners_and_how_often_they_ran(space):
    put(space, "softmax")
    put(space, "entropy")
    lines = []
    value = report(space, PLAN, False, lines.append)
    text = "\n".join(lines)
    assert "yours      softmax" in text and "held-out loss" in text and "a sample:" in text
    assert "gelu (exercise 7)" in text and "not used   entropy: passed" in text
    said = " ".join(text.split())
    # the text is a little different in every version of Python
    chance = re.search(r"among all (\d+) alike costs (\S+); 300 steps", said)
    assert abs(float(chance[2]) - math.log(int(chance[1]))) < 0.006
    assert "3 are a short run" in said
    assert lines[-1] == "next: exercise 1, npgpt learn next difference"
    assert max(map(len, lines)) <= 80
    assert value["yours"] == {"softmax": "softmax"} and len(value["losses"]) == 3
    assert value["calls"]["softmax_backward"] == PLAN.steps * PLAN.n_layer


def test_without_any_layer_it_trains_the_textbooks_and_says_so(space):
    lines = []
    report(space, PLAN, False, lines.append)
    assert "nothing yet" in lines[0]


def test_what_a_learners_layer_raises_in_training_is_one_line(space):
    # it passes, and does not bear float32
    put(space, "softmax", lambda source: source.replace(
        "    out = cache\n", "    out = cache\n    assert out.dtype == np.float64\n"))
    with pytest.raises(Stopped, match="AssertionError"):
        report(space, PLAN, False, lambda line: None)


def test_the_course_hands_the_model_every_layer_that_it_has():
    ops = {name for e in read_course() for name in e.about.get("train", {}).get("ops", [])}
    assert {"softmax"} <= ops


@pytest.mark.skipif("NPGPT_WHOLE_COURSE" not in os.environ, reason="a full run takes a minute")
def test_a_full_run_ends_where_the_report_says():
    run = train(Plan(), corpus(), FAST, PARTS)
    assert round(run.held_out, 1) == ENDS
