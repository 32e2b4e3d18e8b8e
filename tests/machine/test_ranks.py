"""Ranks over a real communicator; what needs no other rank, without one."""

import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from npgpt.machine.ranks import Ranks, connect

from ..mpi import LIMIT, MPIEXEC, ROOT, needs_mpi


def job(n, program):
    """What program, run by n ranks, prints; each prints whole lines."""
    done = subprocess.run(
        [MPIEXEC, "-n", str(n), sys.executable, "-c", program], capture_output=True, text=True,
        timeout=LIMIT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return done.returncode, sorted(done.stdout.splitlines()), done.stderr


@needs_mpi
@pytest.mark.parametrize("n", [2, 3])
def test_a_rank_gets_the_sum_of_its_part_whatever_the_buckets_and_all_get_every_part(n):
    code, out, err = job(n, """
import numpy as np
from npgpt.machine.ranks import connect
ranks = connect()
all_ = [np.random.default_rng(r).integers(-9, 9, ranks.length(47)) * 1.0
        for r in range(ranks.size)]
flat = all_[ranks.rank]
for bucket in (1, 5, 16, 1000):
    mine = np.empty(len(flat) // ranks.size)
    ranks.reduce_scatter(lambda a, b, out: np.copyto(out, flat[a:b]), mine, bucket)
    np.testing.assert_array_equal(mine, ranks.part(sum(all_)))
sent = np.full(len(flat), np.nan)
ranks.part(sent)[...] = mine
ranks.gather(sent)
np.testing.assert_array_equal(sent, sum(all_))
whole = ranks.gather_at_0(mine)
assert (whole is None) == (ranks.rank > 0)
part = ranks.scatter_from_0(whole, len(mine), mine.dtype)
np.testing.assert_array_equal(part, mine)
ranks.copy_from_0(part)
np.testing.assert_array_equal(part, sum(all_)[:len(part)])
np.testing.assert_array_equal(ranks.numbers(ranks.rank, 2.5), [[r, 2.5] for r in range(ranks.size)])
assert ranks.all("ab"[:ranks.rank]) == ["", "a", "ab"][:ranks.size]
assert ranks.broadcast({"n": 3} if ranks.rank == 0 else None) == {"n": 3}
ranks.barrier()
print(f"rank {ranks.rank}\\n", end="", flush=True)
""")
    assert code == 0, err
    assert out == [f"rank {rank}" for rank in range(n)]


@needs_mpi
def test_what_fails_on_one_rank_is_raised_on_the_first_and_ends_the_others():
    code, out, err = job(3, """
from npgpt.machine.ranks import Ended, connect
ranks = connect()
def status(error):
    return {FileNotFoundError: 3, ValueError: 2}.get(type(error))
try:
    with ranks.together(status):
        pass
    ranks.check_same({"a": 1})
    assert not ranks.over
    with ranks.together(status):
        if ranks.rank == 2:
            raise FileNotFoundError("no text here")
except OSError as error:
    print(f"{ranks.rank} {error} {ranks.over}\\n", end="", flush=True)
except Ended as ended:
    print(f"{ranks.rank} ended {ended.code} {ranks.over}\\n", end="", flush=True)
try:
    ranks.check_same({"a": 1, "b": ranks.rank // 2})
except ValueError as error:
    print(f"{ranks.rank} {error}\\n", end="", flush=True)
except Ended as ended:
    print(f"{ranks.rank} ended {ended.code}\\n", end="", flush=True)
""")
    assert code == 0, err
    host = platform.node()
    assert out == sorted([
        f"0 rank 2 on {host}: no text here True",
        f"0 b is 1 on rank 2 on {host}, 0 on rank 0 on {host}; expected the same on all ranks",
        "1 ended 2", "1 ended 3 True", "2 ended 2", "2 ended 3 True"])


class OfRankZero:
    """A communicator in which the other ranks answer as told."""

    def __init__(self, *answers):
        self._answers = iter(answers)

    def Get_rank(self):
        return 0

    def Get_size(self):
        return 3

    def allgather(self, own):
        return next(self._answers)


@pytest.mark.parametrize("cores, wanted", [
    ([[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]], 2),        # one of them on another machine
    ([[0, 1], [2, 3], [0, 1]], 1),                          # each bound to its own
    ([[0, 1, 2], [2], [5]], 3 / 2.5),
])
def test_ranks_share_the_cores_that_they_have_in_common(monkeypatch, cores, wanted):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {*cores[0]}, raising=False)
    ranks = Ranks(OfRankZero(["one", "one", "two"], [11, 12, 11], cores))
    assert ranks.per_core == pytest.approx(wanted)
    assert ranks.names[2] == "rank 2 on two" and ranks.length(7) == 9


def test_without_mpi4py_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match=r"pip install 'npgpt\[mpi\]'"):
        connect()


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_processes_that_do_not_see_each_other_are_rejected(monkeypatch, name):
    """So it is where mpiexec is of another MPI than mpi4py's: each would train all by itself."""
    alone = SimpleNamespace(Get_rank=lambda: 0, Get_size=lambda: 1, allgather=lambda own: [own])
    mpi = SimpleNamespace(COMM_WORLD=alone, Get_library_version=lambda: "MPICH Version: 5")
    monkeypatch.setitem(sys.modules, "mpi4py", SimpleNamespace(rc=SimpleNamespace(), MPI=mpi))
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", mpi)
    assert connect().size == 1
    monkeypatch.setenv(name, "4")
    with pytest.raises(ValueError, match=rf"4 processes were started \({name}\).*of the MPI that "
                                         "mpi4py uses, MPICH"):
        connect()
