"""Worker processes: the same bits as threads, and what happens when one dies or stops."""

from __future__ import annotations

import errno
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
from npgpt.fast.ops import FAST
from npgpt.params import init_params
from npgpt.training.step import workers as module
from npgpt.training.step.gradients import loss_and_grads
from npgpt.training.step.row_random import RowRandom
from npgpt.training.step.shard import Shard, shard_gradients
from npgpt.training.step.workers import Workers

HOME = Path(__file__).parents[3]

CONFIG = GPT2Config(
    vocab_size=11, n_positions=7, n_embd=12, n_layer=2, n_head=3,
    resid_pdrop=0.2, embd_pdrop=0.1, attn_pdrop=0.1,
)
PARAMS = init_params(CONFIG, seed=1)
RNG = np.random.default_rng(2)
IDS = RNG.integers(0, 11, (5, 7))
TARGETS = RNG.integers(0, 11, (5, 7))


def step(workers: Workers | None, threads: int = 2, **changes: Any) -> tuple[float, dict[str, Any]]:
    given: dict[str, Any] = {
        "rng": RowRandom(3, 4, 0, 5), "threads": threads, "shards": threads, **changes,
    }
    return loss_and_grads(PARAMS, IDS, TARGETS, CONFIG, workers=workers, **given)


def wait_for(workers: Workers, count: int) -> None:
    end = time.monotonic() + 60
    while not workers.ready(count, PARAMS):
        assert time.monotonic() < end, "the workers did not start"
        time.sleep(0.02)


def assert_same_bits(ours: tuple[float, Any], theirs: tuple[float, Any]) -> None:
    assert ours[0] == theirs[0]
    assert list(ours[1]) == list(theirs[1])
    for name in ours[1]:
        np.testing.assert_array_equal(ours[1][name], theirs[1][name], err_msg=name)


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(1) as made:
        wait_for(made, 1)
        yield made


def processes(workers: Workers) -> list[subprocess.Popen[bytes]]:
    return [worker._process for worker in workers._workers]


def place_of_memory(workers: Workers) -> Path:
    """Where Linux shows their shared memory while it has a name."""
    assert workers._named is not None
    return Path("/dev/shm", workers._named.name)


@pytest.mark.smoke
def test_workers_give_the_bits_of_threads(workers: Workers) -> None:
    assert_same_bits(step(workers), step(None))
    # and the next step starts from nothing that the last one left
    assert_same_bits(step(workers, rng=None), step(None, rng=None))


def test_two_workers_take_a_shard_each() -> None:
    with Workers(2) as workers:
        wait_for(workers, 2)
        assert_same_bits(step(workers, 3), step(None, 3))


def test_recomputation_happens_on_workers_too(workers: Workers) -> None:
    assert_same_bits(step(workers, recompute=True), step(None, recompute=True))


def test_changed_parameters_reach_the_workers(workers: Workers) -> None:
    first, _ = step(workers)
    changed = {name: array * 1.5 for name, array in PARAMS.items()}
    given: dict[str, Any] = {"rng": RowRandom(3, 4, 0, 5), "threads": 2, "shards": 2}
    ours = loss_and_grads(changed, IDS, TARGETS, CONFIG, workers=workers, **given)
    given["rng"] = RowRandom(3, 4, 0, 5)
    assert_same_bits(ours, loss_and_grads(changed, IDS, TARGETS, CONFIG, **given))
    assert ours[0] != first


def test_other_shapes_get_other_workers(workers: Workers) -> None:
    (before,) = processes(workers)
    other = init_params(CONFIG.replace(n_layer=1), seed=1)
    assert not workers.ready(1, other)
    assert before.returncode is not None


@pytest.mark.smoke
def test_a_killed_workers_shard_is_computed_here(workers: Workers) -> None:
    processes(workers)[0].kill()
    assert_same_bits(step(workers), step(None))
    assert not workers.ready(1, PARAMS)
    assert_same_bits(step(workers), step(None))


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot stop a process")
def test_a_stopped_workers_shard_is_computed_here(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    (process,) = processes(workers)
    process.send_signal(signal.SIGSTOP)
    # too long for a pipe: what waits there until somebody reads must not be the loop
    long = np.tile(IDS, (1000, 1))
    given = {"rng": None, "threads": 2, "shards": 2}
    ours = loss_and_grads(PARAMS, long, long, CONFIG, workers=workers, **given)
    assert_same_bits(ours, loss_and_grads(PARAMS, long, long, CONFIG, **given))
    assert workers.count == 0 and process.returncode is not None


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot stop a process")
def test_ctrl_c_ends_the_wait_for_a_stopped_worker() -> None:
    done = run_program(
        "import _thread, os, signal, threading\n"
        "from npgpt.training.step import workers as module\n"
        "module.PATIENCE = 3600.0\n"
        "answer = module._Worker.answer\n"
        "def interrupted(self, patience):\n"
        "    if patience:\n"
        "        threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT]).start()\n"
        "    return answer(self, patience)\n"
        "module._Worker.answer = interrupted\n"
        "with Workers(1) as workers:\n"
        "    wait_for(workers, 1)\n"
        "    processes(workers)[0].send_signal(signal.SIGSTOP)\n"
        "    try:\n"
        "        step(workers)\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted', workers._workers)\n"
    )
    assert done == "interrupted []\n"


def test_an_error_in_a_worker_is_raised_here(workers: Workers) -> None:
    wrong = IDS.copy()
    wrong[-1, 0] = 99
    with pytest.raises(ValueError, match="99"):
        loss_and_grads(PARAMS, wrong, TARGETS, CONFIG, threads=2, shards=2, workers=workers)
    assert_same_bits(step(workers), step(None))


def test_closing_ends_the_processes() -> None:
    with Workers(1) as workers:
        wait_for(workers, 1)
        (process,) = processes(workers)
        assert process.poll() is None
    assert process.returncode is not None


def test_gradients_outlive_the_workers(workers: Workers) -> None:
    shards = [Shard(IDS[i:i + 1], TARGETS[i:i + 1], CONFIG, None, 1.0, False) for i in (0, 1)]
    _, (_, grads) = workers.gradients(PARAMS, shards)
    workers.close()
    np.testing.assert_array_equal(
        grads["wte.weight"], shard_gradients(PARAMS, shards[1], FAST)[1]["wte.weight"])


def test_a_system_without_shared_memory_leaves_everything_to_threads(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "multiprocessing.shared_memory", None)
    workers = Workers(1)
    assert not workers.ready(1, PARAMS) and workers.count == 0
    assert_same_bits(step(workers), step(None))


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="shared memory has no folder here")
def test_too_little_shared_memory_leaves_everything_to_threads(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []

    def full(file: int, *arguments: int) -> None:
        places.append(Path(os.readlink(f"/proc/self/fd/{file}")))
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "posix_fallocate", full)
    workers = Workers(1)
    assert not workers.ready(1, PARAMS) and workers.count == 0
    assert [place.exists() for place in places] == [False]


def run_program(program: str, **settings: Any) -> str:
    """What a program prints that begins with this file's names."""
    begin = "from tests.training.step.test_workers import *\n"
    return subprocess.run([sys.executable, "-c", begin + program], cwd=HOME, text=True, check=True,
                          stdout=subprocess.PIPE, **settings).stdout


def test_no_shared_memory_is_left_behind_while_they_work_or_afterwards() -> None:
    with Workers(1) as workers:
        assert not workers.ready(1, PARAMS)
        place = place_of_memory(workers)
        assert place.exists() == os.path.isdir("/dev/shm")
        wait_for(workers, 1)
        assert not place.exists()
    # closed before anybody was there
    with Workers(1) as workers:
        assert not workers.ready(1, PARAMS)
        place = place_of_memory(workers)
    assert not place.exists()


def test_a_program_that_forgets_to_close_them_ends_quietly() -> None:
    printed = run_program("workers = Workers(1)\nwait_for(workers, 1)\nstep(workers)\n",
                          stderr=subprocess.STDOUT)
    assert printed == ""


@pytest.mark.parametrize("when", ["starting", "there"])
def test_workers_and_their_memory_end_when_their_parent_is_killed(when: str) -> None:
    program = (
        "import time\nfrom tests.training.step.test_workers import *\n"
        "workers = Workers(1)\nworkers.ready(1, PARAMS)\nplace = place_of_memory(workers)\n"
        f"if {when!r} == 'there': wait_for(workers, 1)\n"
        "print(processes(workers)[0].pid, place, flush=True)\ntime.sleep(600)\n"
    )
    # the standard library's tracker removes what has a name yet, and says so
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=HOME, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
    assert parent.stdout is not None
    with parent, parent.stdout:
        child, place = parent.stdout.readline().split()
        parent.kill()
    end = time.monotonic() + 60
    while is_alive(int(child)) or os.path.exists(place):
        assert time.monotonic() < end, "a worker or its memory outlived its parent"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        # a zombie that nobody has fetched yet has ended too
        return not Path(f"/proc/{pid}/stat").read_text().split(") ")[1].startswith("Z")
    except OSError:
        return False


def test_a_count_that_does_not_fit_the_shards_leaves_them_to_threads() -> None:
    workers = Workers(3)
    assert not workers.ready(1, PARAMS)
    assert_same_bits(step(workers), step(None))
