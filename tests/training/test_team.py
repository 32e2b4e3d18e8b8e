"""A team's arithmetic, with threads as ranks: any shapes, any number of them."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.evaluation.text import Stopped
from npgpt.training.step.adamw import adamw_step, zero_moments
from npgpt.training.team import Team

SHAPES = st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple), min_size=1,
                  max_size=6)


class Threads:
    """Ranks as Team needs them, each a thread of this process."""

    def __init__(self, size):
        self.size, self.barrier, self.slots = size, threading.Barrier(size), [None] * size

    def of(self, rank):
        return Rank(self, rank)

    def run(self, work):
        """work(ranks) on every rank; what each returns."""
        found, errors = [None] * self.size, []

        def one(rank):
            try:
                found[rank] = work(self.of(rank))
            except BaseException as error:
                errors.append(error)
                self.barrier.abort()

        workers = [threading.Thread(target=one, args=(rank,)) for rank in range(self.size)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for error in errors:
            if not isinstance(error, threading.BrokenBarrierError):
                raise error
        return found


class Rank:
    def __init__(self, job, rank):
        self.job, self.rank, self.size, self.busy = job, rank, job.size, False
        self.names = [f"rank {n} on here" for n in range(job.size)]
        self.said, self.hosts = [], ["here"] * job.size

    def all(self, own):
        self.job.slots[self.rank] = own
        self.job.barrier.wait()
        found = list(self.job.slots)
        self.job.barrier.wait()
        return found

    def numbers(self, *own):
        return np.array(self.all([float(number) for number in own]))

    def length(self, count):
        return -(-count // self.size) * self.size

    def part(self, flat):
        return np.split(flat, self.size)[self.rank]

    def broadcast(self, value=None):
        self.said.append(value)

    def copy_from_0(self, array):
        array[...] = self.all(array.copy())[0]

    def reduce_scatter(self, read, mine, aside=False):
        flat = np.zeros(len(mine) * self.size)
        read(0, len(flat), flat)
        mine[...] = self.part(sum(self.all(flat)))

    def gather(self, flat):
        flat[...] = np.concatenate(self.all(self.part(flat).copy()))

    def gather_at_0(self, part):
        found = np.concatenate(self.all(part.copy()))
        return found if self.rank == 0 else None

    def scatter_from_0(self, whole, count, dtype):
        return self.part(self.all(whole)[0]).copy()


def teams(size, work):
    return Threads(size).run(lambda ranks: work(Team(ranks, {"p": np.ones(3)}, ["p"])))


def arrays(shapes, seed):
    rng = np.random.default_rng(seed)
    return {f"p{i}": rng.standard_normal(shape) for i, shape in enumerate(shapes)}


SETTINGS = {"step": 3, "lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.5}


@given(SHAPES, st.integers(1, 5), st.integers(0, 3))
def test_parts_that_are_updated_apart_are_the_update_of_the_whole(shapes, size, frozen):
    """Whatever the shapes: parts end within parameters, some are empty, some hold many."""
    trained = [f"p{i}" for i in range(len(shapes)) if i >= min(frozen, len(shapes) - 1)]
    wanted, mean, square = (arrays(shapes, seed) for seed in (1, 2, 3))
    square = {name: np.square(array) for name, array in square.items()}
    grads = [arrays(shapes, 10 + rank) for rank in range(size)]
    decay = {name for name in trained if wanted[name].ndim > 1}

    def work(ranks):
        # only rank 0 has the parameters and moments to begin with
        params = {name: array.copy() if ranks.rank == 0 else np.zeros_like(array)
                  for name, array in wanted.items()}
        team = Team(ranks, params, trained)
        moments = [team.scatter({n: kind[n] for n in trained} if ranks.rank == 0 else None)
                   for kind in (mean, square)]
        adamw_step(team.params, team.sum_gradients({n: grads[ranks.rank][n] for n in trained}),
                   *moments, decay_names=decay, **SETTINGS)
        team.share_parameters()
        return params, [team.gather(kind) for kind in moments], team.zeros()

    found = Threads(size).run(work)
    for name, array in wanted.items():
        if name in trained:
            total = sum(grads[rank][name] for rank in range(size))
            adamw_step({name: array}, {name: total}, mean, square, decay_names=decay, **SETTINGS)
        for params, _, _ in found:
            np.testing.assert_allclose(params[name], array, rtol=1e-12, atol=0)
    for whole, kind in zip(found[0][1], (mean, square)):
        assert list(whole) == trained
        for name in trained:
            np.testing.assert_allclose(whole[name], kind[name], rtol=1e-12, atol=1e-15)
    assert all(moments == [{}, {}] for _, moments, _ in found[1:])
    # each number belongs to one rank
    for name, whole in zero_moments({name: wanted[name] for name in trained}).items():
        assert sum(zeros[name].size for _, _, zeros in found) == whole.size


@pytest.mark.smoke
@pytest.mark.parametrize("batch, size", [(5, 2), (4, 4), (7, 3)])
def test_every_sequence_of_a_batch_is_one_ranks_and_none_has_two_more_than_another(batch, size):
    rows = teams(size, lambda team: team.rows(batch))
    assert [row for part in rows for row in part] == list(range(batch))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_the_total_is_of_all_ranks_and_says_whether_one_was_asked_to_stop():
    def work(team):
        stops = team.listen(lambda: team.ranks.rank == 1)
        before = team.stopping
        return before, team.total(1.0 + team.ranks.rank, 3.0 + team.ranks.rank), stops()

    assert teams(2, work) == [(False, (3.0, 5.0), True)] * 2
    assert teams(2, lambda team: (team.total(1.0, 1.0), team.stopping)[1]) == [False] * 2
    loss, norm = teams(2, lambda team: team.total(np.nan * team.ranks.rank, np.inf))[0]
    assert np.isnan(loss) and norm == np.inf


def test_an_evaluation_stops_on_all_ranks_where_one_wants_it_and_nobody_waits():
    def work(team):
        stops = team.stopping_all(lambda seen: seen > 1 and team.ranks.rank == 1)
        found = [stops(1), stops(2), team.stopping]
        with pytest.raises(Stopped), team.command("evaluate"):
            assert team.ranks.busy
            raise Stopped
        return found, team.ranks.busy, team.ranks.said

    first, second = teams(2, work)
    assert first == ([False, True, False], False, [{"do": ("evaluate",)}])
    assert second == ([False, True, False], False, [])


def test_what_is_found_first_is_named_with_its_rank():
    assert teams(3, lambda team: team.first("a NaN" if team.ranks.rank else "")) == [
        "a NaN on rank 1 on here"] * 3
    assert teams(2, lambda team: team.first("")) == ["", ""]
