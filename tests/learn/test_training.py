"""The run at the end of the course: the textbook's numbers with the solutions in place."""

from dataclasses import replace

import numpy as np
import pytest

from npgpt.fast.ops import FAST
from npgpt.learn.own import PARTS
from npgpt.learn.training import Plan, Stopped, corpus, sample, train
from npgpt.ops import TEXTBOOK
from npgpt.tape import Op

from .test_own import COURSE, own

EXACT = Plan(steps=20, batch_size=3, length=12, n_embd=16, dropout=0.0, dtype="float64")


def test_with_all_solutions_each_of_20_steps_is_the_textbooks():
    mine = own(COURSE)
    run = train(EXACT, corpus(), mine.ops, mine.parts, run_block=mine.run_block, evaluate=False)
    right = train(EXACT, corpus(), TEXTBOOK, PARTS, evaluate=False)
    assert np.abs(np.array(run.losses) - right.losses).max() < 1e-10
    assert run.losses[-1] < run.losses[0] - 0.2


def test_the_loss_at_the_end_is_the_fast_runs_and_so_is_what_is_written():
    plan = Plan(steps=40, batch_size=4, length=16, n_embd=16)
    mine = own(COURSE)
    run = train(plan, corpus(), mine.ops, mine.parts, run_block=mine.run_block)
    fast = train(plan, corpus(), FAST, PARTS)
    assert abs(run.held_out - fast.held_out) < 0.02
    text = sample(run, corpus(), mine.ops, mine.parts, 12)
    assert len(text) == 12


def test_a_loss_that_is_not_finite_stops_the_run():
    def broken(x, weight, bias):
        return x @ weight + np.nan, (x, weight, True)

    ops = replace(TEXTBOOK, linear=Op("linear", broken, TEXTBOOK.linear.backward))
    with pytest.raises(Stopped, match="the loss of step 1 is nan"):
        train(EXACT, corpus(), ops, PARTS)


def test_a_clip_and_a_step_may_return_what_they_make():
    def clip(grads, *, max_norm):
        return PARTS["clip"](grads, max_norm=max_norm)

    def adamw(params, grads, m, v, **settings):
        params, m, v = ({k: a.copy() for k, a in d.items()} for d in (params, m, v))
        PARTS["adamw"](params, grads, m, v, **settings)
        return params, m, v

    def in_place(grads, *, max_norm):
        for name, g in PARTS["clip"](grads, max_norm=max_norm).items():
            grads[name][...] = g

    plan = Plan(steps=3, batch_size=2, length=8, n_embd=8, n_head=2)
    right = train(plan, corpus(), TEXTBOOK, PARTS, evaluate=False).losses
    for parts in ({**PARTS, "clip": clip, "adamw": adamw}, {**PARTS, "clip": in_place}):
        assert train(plan, corpus(), TEXTBOOK, parts, evaluate=False).losses == right
