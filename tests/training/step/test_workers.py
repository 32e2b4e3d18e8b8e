"""Helper processes: the same bits as threads, and what happens when one of them dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest

from npgpt.config import GPT2Config
from npgpt.params import init_params
from npgpt.training.step.gradients import loss_and_grads
from npgpt.training.step.row_random import RowRandom
from npgpt.training.step.workers import Helpers

CONFIG = GPT2Config(
    vocab_size=11, n_positions=7, n_embd=12, n_layer=2, n_head=3,
    resid_pdrop=0.2, embd_pdrop=0.1, attn_pdrop=0.1,
)
PARAMS = init_params(CONFIG, seed=1)
RNG = np.random.default_rng(2)
IDS = RNG.integers(0, 11, (5, 7))
TARGETS = RNG.integers(0, 11, (5, 7))

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="helpers need Linux")


def step(helpers: Helpers | None, threads: int = 2, **changes: Any) -> tuple[float, dict[str, Any]]:
    given: dict[str, Any] = {
        "rng": RowRandom(3, 4, 0, 5), "threads": threads, "shards": threads, **changes,
    }
    return loss_and_grads(PARAMS, IDS, TARGETS, CONFIG, helpers=helpers, **given)


def wait_for(helpers: Helpers, count: int) -> None:
    end = time.monotonic() + 60
    while not helpers.ready(count, PARAMS):
        assert time.monotonic() < end, "the helpers did not start"
        time.sleep(0.02)


def assert_same_bits(ours: tuple[float, Any], theirs: tuple[float, Any]) -> None:
    assert ours[0] == theirs[0]
    assert list(ours[1]) == list(theirs[1])
    for name in ours[1]:
        np.testing.assert_array_equal(ours[1][name], theirs[1][name], err_msg=name)


OTHERS: set[int] = set()


@pytest.fixture
def helpers() -> Iterator[Helpers]:
    # another test's process may not have been fetched yet
    OTHERS.update(children_of(os.getpid()))
    with Helpers(1) as made:
        wait_for(made, 1)
        yield made


def children_of(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_helpers_give_the_bits_of_threads(helpers: Helpers) -> None:
    assert_same_bits(step(helpers), step(None))
    # and the next step starts from nothing that the last one left
    assert_same_bits(step(helpers, rng=None), step(None, rng=None))


def test_two_helpers_take_a_shard_each() -> None:
    with Helpers(2) as helpers:
        wait_for(helpers, 2)
        assert_same_bits(step(helpers, 3), step(None, 3))


def test_recomputation_happens_on_helpers_too(helpers: Helpers) -> None:
    assert_same_bits(step(helpers, recompute=True), step(None, recompute=True))


def test_changed_parameters_reach_the_helpers(helpers: Helpers) -> None:
    first, _ = step(helpers)
    changed = {name: array * 1.5 for name, array in PARAMS.items()}
    given: dict[str, Any] = {"rng": RowRandom(3, 4, 0, 5), "threads": 2, "shards": 2}
    ours = loss_and_grads(changed, IDS, TARGETS, CONFIG, helpers=helpers, **given)
    given["rng"] = RowRandom(3, 4, 0, 5)
    assert_same_bits(ours, loss_and_grads(changed, IDS, TARGETS, CONFIG, **given))
    assert ours[0] != first


def test_other_shapes_get_other_helpers(helpers: Helpers) -> None:
    before = set(children_of(os.getpid())) - OTHERS
    other = init_params(CONFIG.replace(n_layer=1), seed=1)
    assert not helpers.ready(1, other)
    assert set(children_of(os.getpid())).isdisjoint(before)


def test_a_killed_helper_s_shard_is_computed_here(helpers: Helpers) -> None:
    (child,) = set(children_of(os.getpid())) - OTHERS
    os.kill(child, signal.SIGKILL)
    assert_same_bits(step(helpers), step(None))
    assert not helpers.ready(1, PARAMS)
    assert_same_bits(step(helpers), step(None))


def test_an_error_in_a_helper_is_raised_here(helpers: Helpers) -> None:
    wrong = IDS.copy()
    wrong[-1, 0] = 99
    with pytest.raises(ValueError, match="99"):
        loss_and_grads(PARAMS, wrong, TARGETS, CONFIG, threads=2, shards=2, helpers=helpers)
    assert_same_bits(step(helpers), step(None))


def test_closing_ends_the_processes() -> None:
    before = children_of(os.getpid())
    with Helpers(1) as helpers:
        wait_for(helpers, 1)
        assert len(children_of(os.getpid())) == len(before) + 1
    assert children_of(os.getpid()) == before


def test_helpers_end_when_their_parent_is_killed() -> None:
    program = (
        "import time\nfrom tests.training.step.test_workers import Helpers, wait_for\n"
        "helpers = Helpers(1)\nwait_for(helpers, 1)\nprint('there', flush=True)\ntime.sleep(60)\n"
    )
    home = Path(__file__).parents[3]
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=home)
    assert parent.stdout is not None
    with parent, parent.stdout:
        assert parent.stdout.readline() == b"there\n"
        (child,) = children_of(parent.pid)
        parent.kill()
    end = time.monotonic() + 30
    while Path(f"/proc/{child}/stat").exists() and time.monotonic() < end:
        # a zombie that nobody has fetched yet has ended too
        if Path(f"/proc/{child}/stat").read_text().split(") ")[1].startswith("Z"):
            break
        time.sleep(0.02)
    else:
        assert not Path(f"/proc/{child}/stat").exists(), "the helper outlived its parent"


def test_a_count_that_does_not_fit_the_shards_leaves_them_to_threads() -> None:
    helpers = Helpers(3)
    assert not helpers.ready(1, PARAMS)
    assert_same_bits(step(helpers), step(None))
