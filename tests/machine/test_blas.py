"""Limits on BLAS's threads: nested, overlapping, from any thread; afterwards all is as before."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_info

from npgpt import GPT2, GPT2Config
from npgpt.machine import blas, threads
from npgpt.training.step.gradients import loss_and_grads
from npgpt.training.step.row_random import RowRandom


def in_use():
    # SciPy, where another test has loaded it, brings a BLAS of its own, which is not NumPy's
    return {lib["num_threads"] for lib in threadpool_info()
            if lib["user_api"] == "blas" and "scipy.libs" not in lib["filepath"]}


@pytest.fixture
def three():
    """BLAS uses three threads outside of all limits."""
    with blas.limited(3):
        yield


@pytest.fixture
def other():
    """Another thread, on which to run one thing after the other."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda work: pool.submit(work).result(timeout=60)


def test_the_smallest_of_nested_limits_holds_and_each_ends_where_it_began(three):
    seen = [in_use()]
    with blas.limited(2):
        seen.append(in_use())
        with blas.limited(1):
            seen.append(in_use())
            with blas.limited(2):
                seen.append(in_use())
        seen.append(in_use())
    assert seen == [{3}, {2}, {1}, {1}, {2}]
    assert in_use() == {3}


@pytest.mark.smoke
def test_overlapping_limits_of_two_threads_leave_what_was_there_before(three, other):
    ours, theirs = blas.limited(1), blas.limited(2)
    ours.__enter__()
    other(theirs.__enter__)
    assert in_use() == other(in_use) == {1}
    ours.__exit__(None, None, None)
    assert in_use() == other(in_use) == {2}
    other(lambda: theirs.__exit__(None, None, None))
    assert in_use() == other(in_use) == {3}


def test_many_threads_at_once_leave_what_was_there_before(three):
    def work(i):
        for _ in range(50):
            with blas.limited(1 + i % 2), blas.limited(1):
                assert in_use() == {1}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert in_use() == {3}


def test_a_limit_works_on_a_thread_that_is_not_the_first_to_set_one(other):
    """threadpoolctl ignores all threads but one while that one holds a limit."""
    def limited():
        with blas.limited(1):
            return in_use()

    with ThreadpoolController().limit(limits=3, user_api="blas"):
        assert other(limited) == {1}
        assert in_use() == {3}


@pytest.mark.smoke
def test_a_training_step_on_another_thread_gives_the_same_bits(other):
    config = GPT2Config(vocab_size=300, n_positions=64, n_embd=128, n_layer=2, n_head=4,
                        resid_pdrop=0.1)
    params = GPT2.init(config, seed=0, dtype=np.float32).params
    ids = np.random.default_rng(0).integers(0, 300, (4, 64))

    def step():
        return loss_and_grads(params, ids, ids, config, rng=RowRandom(0, 0, 0, 4), threads=2)

    # the first to ask, as far as threadpoolctl knows
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        (loss, grads), (their_loss, theirs) = step(), other(step)
    assert loss == their_loss
    for name, grad in grads.items():
        np.testing.assert_array_equal(grad, theirs[name], err_msg=name)


def test_a_default_holds_outside_of_limits_alone(three):
    with blas.limited(1):
        before = in_use()
        blas.set_default(2)
        assert in_use() == before == {1}


def fake(per_thread):
    """A BLAS whose number of threads is one for all threads, or one for each."""
    numbers, local = SimpleNamespace(n=4), threading.local()
    owner = (lambda: local) if per_thread else (lambda: numbers)
    return blas.Library(lambda: getattr(owner(), "n", 4), lambda n: setattr(owner(), "n", n),
                        per_thread)


def test_a_default_that_is_set_within_a_limit_holds_after_it():
    library = fake(per_thread=False)
    limits = blas.Limits([library])
    limit = blas.Limit(1)
    limits.enter(limit)
    limits.set_default(2)
    assert library.get_threads() == 1
    limits.leave(limit)
    assert library.get_threads() == 2


def test_a_blas_with_a_number_for_each_thread_is_limited_on_each(monkeypatch, other):
    library = fake(per_thread=True)
    monkeypatch.setattr(blas, "_limits", [blas.Limits([]), blas.LimitsOfThread([library])])
    with blas.limited(1):
        assert (library.get_threads(), other(library.get_threads)) == (1, 4)
        seen = []
        meeting = threading.Barrier(2, timeout=20)

        def work(i):
            meeting.wait()
            seen.append(library.get_threads())

        with threads.using(2):
            threads.each(work, 2)
        assert seen == [1, 1]
    assert library.get_threads() == 4


@pytest.mark.parametrize("api, layer, per_thread", [
    ("openblas", "pthreads", False), ("openblas", "openmp", True), ("mkl", "intel", True)])
def test_openmp_and_mkl_have_a_number_for_each_thread(api, layer, per_thread):
    lib = SimpleNamespace(internal_api=api, threading_layer=layer, get_num_threads=lambda: 1,
                          set_num_threads=print, dynlib=SimpleNamespace())
    assert blas._library(lib).per_thread == per_thread
    assert blas._library(lib).set_threads == print


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_forgets_the_limits_of_threads_that_it_does_not_have():
    code = """
import os, threading, warnings
warnings.simplefilter("ignore")
from threadpoolctl import threadpool_info
from npgpt.machine import blas
blas.set_default(3)
held, done = threading.Event(), threading.Event()
def hold():
    with blas.limited(1):
        held.set()
        done.wait()
threading.Thread(target=hold).start()
held.wait()
with blas.limited(2):
    pid = os.fork()
    if pid == 0:
        print(*(lib["num_threads"] for lib in threadpool_info()), flush=True)
if pid == 0:
    print(*(lib["num_threads"] for lib in threadpool_info()), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
done.set()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("2\n3\n", "")
