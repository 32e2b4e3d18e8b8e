"""From any thread, and however it ends: the same bits, and afterwards everything as before."""

import inspect
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config
from npgpt.machine import blas, threads
from npgpt.training.step.gradients import loss_and_grads
from npgpt.training.step.row_random import RowRandom

from .test_blas import in_use


@pytest.fixture
def three():
    """BLAS uses three threads outside of all limits."""
    with blas.limited(3):
        yield


CONFIG = GPT2Config(vocab_size=300, n_positions=64, n_embd=128, n_layer=2, n_head=4,
                    resid_pdrop=0.1)
MODEL = GPT2.init(CONFIG, seed=0)
IDS = np.random.default_rng(0).integers(0, 300, (4, 64))


def step():
    loss, grads = loss_and_grads(MODEL.params, IDS, IDS, CONFIG, rng=RowRandom(0, 0, 0, 4),
                                 threads=2)
    return [np.array(loss), *grads.values()]


def whole_step():
    return [MODEL.loss_and_grads(IDS, IDS, threads=2)[1]["wte.weight"]]


def writing():
    with threads.using(2):
        done = MODEL.complete(IDS[:, :9], 12, seed=3, samples=2)
    return [row.ids for row in done] + [row.logprobs for row in done]


def int8_writing():
    with threads.using(2):
        return [row.logprobs for row in MODEL.quantized().complete(IDS[0, :9], 12, seed=3)]


@pytest.mark.parametrize("work", [step, whole_step, writing, int8_writing])
def test_four_threads_at_once_give_the_bits_of_the_main_thread(work, three, every_size_on_threads):
    ours = work()
    meeting = threading.Barrier(4, timeout=60)

    def together(_):
        meeting.wait()
        return work()

    with ThreadPoolExecutor(4) as pool:
        for theirs in pool.map(together, range(4)):
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(a, b)
    assert in_use() == {3}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_within_limits_leaves_everything_as_before(error, three):
    default = threads.get_threads()
    with pytest.raises(error):
        with threads.using(2), threads.one_blas_thread(), threads.blas_threads():
            raise error
    with pytest.raises(error):
        with threads.using(2):
            threads.each(lambda i: (_ for _ in ()).throw(error()), 4)
    assert (in_use(), threads.get_threads()) == ({3}, default)


def interrupted_at(place, files, work):
    """Run work, with KeyboardInterrupt at the begin or end number `place` of a call in `files`."""
    left = place

    def trace(frame, event, argument):
        nonlocal left
        code = frame.f_code
        # a generator's yield is no return
        if Path(code.co_filename).name not in files or code.co_flags & inspect.CO_GENERATOR:
            return None
        # where Python lets a signal's handler run: as a function begins, and after it has returned
        if event in ("call", "return"):
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def test_a_ctrl_c_at_any_moment_of_a_limit_leaves_everything_as_before(three):
    def work():
        with threads.using(2), threads.one_blas_thread(), threads.blas_threads():
            pass

    default, place = threads.get_threads(), 0
    # where it comes once all is done, nothing is interrupted
    while place == 0 or interrupted_at(place, ("blas.py", "threads.py"), work):
        place += 1
        assert threads.get_threads() == default, place
        with blas.limited(1):
            assert in_use() == {1}, place
        assert in_use() == {3}, place
    assert place > 20
