"""A learner's layers run in the model, each of them, forward and backward."""

import numpy as np
import pytest

from npgpt.learn.examine import PASSED, examine, loaded
from npgpt.learn.exercise import read_course
from npgpt.learn.own import PARTS, Own
from npgpt.learn.training import Plan, corpus, train
from npgpt.ops import TEXTBOOK

COURSE = [exercise for exercise in read_course() if exercise.about.get("train")]
SMALL = Plan(steps=2, batch_size=2, length=8, n_embd=8, n_head=2)


def own(exercises, change=lambda exercise: exercise.solution):
    return Own({e: loaded(change(e), e.file, e.name) for e in exercises})


def names(mine):
    return [name for name in mine.whose if f"{name}_forward" in mine.calls]


@pytest.mark.smoke
def test_every_layer_that_passed_runs_forward_and_backward():
    mine = own(COURSE)
    train(SMALL, corpus(), mine.ops, mine.parts, run_block=mine.run_block, evaluate=False)
    layers = [name for name in mine.whose if name not in PARTS]
    assert {"softmax"} <= {*layers}
    for name in layers:
        assert mine.calls[f"{name}_forward"] and mine.calls[f"{name}_backward"], name
    trained = {"adamw", "clip", "learning_rate"} & {*mine.whose}
    assert all(mine.calls[name] == SMALL.steps for name in trained)


@pytest.mark.parametrize("exercise", COURSE, ids=lambda exercise: exercise.name)
def test_each_layer_alone_runs_in_the_model_and_changes_no_number(exercise):
    mine = own([exercise])
    plan = Plan(steps=2, batch_size=2, length=8, n_embd=8, n_head=2, dropout=0.0, dtype="float64")
    run = train(plan, corpus(), mine.ops, mine.parts, run_block=mine.run_block, evaluate=False)
    right = train(plan, corpus(), TEXTBOOK, PARTS, evaluate=False)
    assert np.abs(np.array(run.losses) - right.losses).max() < 1e-10
    for name in exercise.about["train"].get("ops", []):
        assert name == "dropout" or mine.calls[f"{name}_backward"], name


def test_without_a_layer_of_the_learners_the_ops_are_the_textbooks():
    mine = own([])
    assert mine.ops == TEXTBOOK and mine.run_block is None and not mine.calls


def test_the_packages_own_layers_are_not_changed():
    before = TEXTBOOK.multi_head_attention.forward.__globals__["softmax_forward"]
    own(COURSE)
    assert TEXTBOOK.multi_head_attention.forward.__globals__["softmax_forward"] is before


def test_a_constant_in_float64_does_not_widen_a_model_in_float32():
    softmax = next(e for e in COURSE if e.name == "softmax")
    mine = own([softmax], lambda e: e.solution.replace(
        "dx = out * (", "dx = np.ones(1) * out * ("))
    x = np.ones((2, 3), np.float32)
    out, cache = mine.ops.softmax.forward(x)
    assert mine.ops.softmax.backward(x, cache)[0].dtype == out.dtype == np.float32


@pytest.mark.parametrize("name, changes", [
    ("dropout", [("rng.random(x.shape) < 1.0 - rate", "rng.binomial(1, 1.0 - rate, x.shape)"),
                 ("return (dx,)", "return dx")]),
    ("embedding", [("return None, dweight\n", "return dweight\n")]),
    ("head", [("q @ k.swapaxes(-1, -2)", 'np.einsum("btd,bsd->bts", q, k)'),
              ("dweights = dout @ v.swapaxes(-1, -2)",
               "dweights = dout @ v.transpose(0, 2, 1)")]),
    ("heads", [("return (dqkv,)", "return dqkv")]),
], ids=lambda value: value if isinstance(value, str) else "")
def test_every_form_that_a_check_accepts_trains(name, changes):
    exercise = next(e for e in COURSE if e.name == name)
    source = exercise.solution
    for old, new in changes:
        assert source.count(old) == 1
        source = source.replace(old, new)
    assert examine(exercise, source).status == PASSED
    mine = own([exercise], lambda _: source)
    train(SMALL, corpus(), mine.ops, mine.parts, run_block=mine.run_block, evaluate=False)
    assert all(mine.calls[f"{layer}_backward"] for layer in names(mine))
