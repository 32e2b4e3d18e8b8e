"""Threads for tests: two, whatever the machine, and back to what was."""

import pytest

from npgpt.fast import threads


@pytest.fixture
def two_threads():
    with threads.using(2):
        yield
