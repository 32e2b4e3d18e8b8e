import math
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from npgpt.machine import threads


def blas_threads():
    # SciPy, where another test has loaded it, brings a BLAS of its own, which is not NumPy's
    return {lib["num_threads"] for lib in threadpool_info()
            if lib["user_api"] == "blas" and "scipy.libs" not in lib["filepath"]}


@pytest.mark.parametrize("n", [1, 2, 3])
def test_each_runs_every_piece_once(n):
    done = []
    with threads.using(n):
        threads.each(done.append, 100)
    assert sorted(done) == list(range(100))


@pytest.mark.smoke
@pytest.mark.parametrize("count", [0, 1, 7, 64])
@pytest.mark.parametrize("align", [1, 8])
def test_parts_cover_the_range_without_overlap(count, align):
    hits = np.zeros(count, int)
    starts = []

    def work(start, stop):
        hits[start:stop] += 1
        starts.append(start)

    with threads.using(3):
        threads.parts(work, count, align=align)
    assert (hits == 1).all()
    assert all(start % align == 0 for start in starts)


@pytest.mark.smoke
def test_two_threads_really_meet(two_threads):
    meeting = threading.Barrier(2, timeout=20)
    names = []

    def work(i):
        meeting.wait()
        names.append(threading.current_thread().name)

    threads.each(work, 2)
    assert len(set(names)) == 2


def test_work_that_does_not_pay_stays_on_the_callers_thread(two_threads):
    names = set()
    threads.each(lambda i: names.add(threading.current_thread().name), 50, pays=False)
    assert names == {threading.current_thread().name}


@pytest.mark.smoke
def test_blas_is_held_to_one_thread_inside_and_released_after(two_threads):
    before = blas_threads()
    inside = []
    threads.each(lambda i: inside.append(blas_threads()), 2)
    with threads.one_blas_thread(), threads.one_blas_thread():
        inside.append(blas_threads())
    assert all(seen == {1} for seen in inside)
    assert blas_threads() == before


def test_inside_a_piece_no_more_threads_are_started(two_threads):
    seen = []
    threads.each(lambda i: seen.append(threads.get_threads()), 4)
    assert seen == [1] * 4
    assert threads.get_threads() == 2


def test_an_error_in_a_piece_reaches_the_caller_and_threads_go_on(two_threads):
    def work(i):
        if i == 3:
            raise KeyError("piece 3")

    with pytest.raises(KeyError, match="piece 3"):
        threads.each(work, 5)
    done = []
    threads.each(done.append, 5)
    assert sorted(done) == [0, 1, 2, 3, 4]


def test_the_callers_floating_point_settings_hold_on_every_thread(two_threads):
    meeting = threading.Barrier(2, timeout=20)
    seen = []

    def work(i):
        meeting.wait()
        seen.append(np.geterr()["over"])

    with np.errstate(over="ignore"):
        threads.each(work, 2)
    assert seen == ["ignore", "ignore"]


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_a_number_of_threads_that_is_not_a_positive_integer_is_rejected(n):
    with pytest.raises(ValueError, match="threads="):
        with threads.using(n):
            pass


def test_using_holds_for_the_thread_that_asks_alone():
    default = threads.get_threads()
    ours, theirs = threads.using(3), threads.using(5)
    with ThreadPoolExecutor(1) as pool:
        def other(work):
            return pool.submit(work).result(timeout=60)

        ours.__enter__()
        assert other(threads.get_threads) == default
        other(theirs.__enter__)
        assert (threads.get_threads(), other(threads.get_threads)) == (3, 5)
        ours.__exit__(None, None, None)
        assert (threads.get_threads(), other(threads.get_threads)) == (default, 5)
        other(lambda: theirs.__exit__(None, None, None))
        assert other(threads.get_threads) == default


def test_the_environment_decides_how_many_there_are():
    environment = {**os.environ, "OMP_NUM_THREADS": "3"}
    environment.pop("OPENBLAS_NUM_THREADS", None)
    result = subprocess.run(
        [sys.executable, "-c", "from npgpt.machine import threads; print(threads.get_threads())"],
        env=environment, capture_output=True, text=True, check=True,
    )
    assert result.stdout == "3\n"


VERSION_1 = "5:cpuset:/\n4:cpu,cpuacct:/docker/abc\n0::/docker/abc\n"


@pytest.mark.parametrize("group, files, quota", [
    ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
    ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
    ("0::/a/b\n", {"a/b/cpu.max": "200000 100000\n", "a/cpu.max": "300000 100000\n"}, 2),
    ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
    # a container's own group stands at the top
    (VERSION_1, {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
    (VERSION_1, {"cpu/docker/abc/cpu.cfs_quota_us": "-1\n",
                 "cpu/docker/abc/cpu.cfs_period_us": "100000\n"}, math.inf),
    (VERSION_1, {}, math.inf),
    ("0::/\n", {"cpu.max": "nonsense"}, math.inf),
    (None, {}, math.inf),
])
def test_a_containers_cpu_quota_is_read(tmp_path, monkeypatch, group, files, quota):
    if group is not None:
        files = {"proc/self/cgroup": group,
                 **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert threads._cpu_quota(tmp_path) == quota
    monkeypatch.setattr(threads, "_cpu_quota", lambda root: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8), raising=False)
    assert threads._cores() == {0.5: 1, 1.5: 2, math.inf: 8}.get(quota, quota)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_has_threads_of_its_own():
    code = (
        "import os, sys, warnings; warnings.simplefilter('ignore')\n"
        "from npgpt.machine import threads, tune\n"
        "tune(2); done = []; threads.each(done.append, 9)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    done = []; threads.each(done.append, 9); os._exit(len(done))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "9"


def test_a_thread_that_wakes_too_late_is_not_waited_for(two_threads):
    threads.each(lambda i: None, 2)             # the other thread is there
    asleep, wake = threading.Event(), threading.Event()

    def keep_busy():
        asleep.set()
        assert wake.wait(60)

    threads._jobs.put(keep_busy)
    assert asleep.wait(60)
    names = []
    threads.each(lambda i: names.append(threading.current_thread().name), 6)
    assert names == [threading.current_thread().name] * 6
    wake.set()
    meeting = threading.Barrier(2, timeout=60)  # and it takes part again, in what is new alone
    threads.each(lambda i: meeting.wait(), 2)
    assert len(names) == 6


@pytest.mark.parametrize(("work", "held"), [(0, True), (2**27 - 1, True), (2**27, False)])
def test_blas_keeps_its_threads_only_for_work_that_pays(work, held, two_threads):
    before = blas_threads()
    with threads.blas_for(work):
        assert blas_threads() == ({1} if held else before)
    assert blas_threads() == before
