"""When the cores count as free: from how often the processor was taken away, never from a clock."""

from itertools import accumulate

import pytest

from npgpt.machine.contention import FIRST_WAIT, LONGEST_WAIT, OFTEN, Cores, preemptions


def decisions(taken):
    """Whether the cores were free before each piece, of which each lost its core `taken` times."""
    counts = accumulate(taken, initial=0)
    cores = Cores(lambda: next(counts))
    return [cores.free() for _ in taken]


@pytest.mark.smoke
def test_a_quiet_machine_is_free_from_the_first_piece_on():
    assert all(decisions([0, 1, OFTEN, 0] * 50))


def test_after_a_piece_that_was_disturbed_they_are_not_free_until_some_were_quiet():
    quiet = [0] * FIRST_WAIT
    seen = decisions([OFTEN + 1, *quiet, *quiet, *quiet])
    assert seen[0] is False and True in seen
    assert seen.index(True) == 2 * FIRST_WAIT      # being free was a mistake: the wait is doubled


def test_beside_programs_that_never_rest_threads_are_hardly_tried_again():
    # whoever spins there loses the core, one thread alone does not
    losses, free = 0, []

    def count():
        return losses

    cores = Cores(count)
    for _ in range(5000):
        free.append(cores.free())
        losses += 40 if free[-1] else 0
    assert sum(free) < 5000 / LONGEST_WAIT + 10


def test_after_a_long_quiet_time_the_wait_is_short_again():
    busy = [OFTEN + 1, *[0] * 2 * FIRST_WAIT]
    later = decisions([*busy, *[0] * 2 * LONGEST_WAIT, OFTEN + 1, *[0] * 20])
    assert later[-19 + 2 * FIRST_WAIT:] == [True] * (19 - 2 * FIRST_WAIT)


def test_the_system_counts_or_says_0():
    before = preemptions()
    assert 0 <= before <= preemptions()
