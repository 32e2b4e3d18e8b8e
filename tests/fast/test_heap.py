"""What is freed stays with the process: seen in real processes, and what the allocator is told."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from npgpt.fast import heap

# resident megabytes that remain of arrays that were made and dropped
MEASURE = """
import os, sys
import numpy as np
from npgpt.fast.heap import keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

if sys.argv[1] == "keep":
    assert keep_freed_memory() and keep_freed_memory()
before = resident()
arrays = [np.ones(10**6) for _ in range(20)]
used = resident() - before
del arrays
print(used, resident() - before)
"""


def is_glibc():
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).gnu_get_libc_version)
    except (AttributeError, OSError):
        return False


def used_and_left(how):
    told = subprocess.run(
        [sys.executable, "-c", MEASURE, how], capture_output=True, text=True, check=True
    )
    used, left = map(float, told.stdout.split())
    assert used > 150
    return used, left


@pytest.mark.skipif(not is_glibc(), reason="the settings are glibc's")
def test_freed_arrays_stay_with_the_process_that_asked_and_leave_the_one_that_did_not():
    used, left = used_and_left("keep")
    assert left > 0.9 * used
    used, left = used_and_left("as it is")
    assert left < 0.2 * used


class Allocator:
    """Stands for the C library: takes the settings down, and refuses some."""

    def __init__(self, refused=()):
        self.asked = []
        self.refused = refused

    def mallopt(self, setting, value):
        self.asked.append((setting, value))
        return int((setting, value) not in self.refused)


@pytest.fixture
def ask(monkeypatch):
    """keep_freed_memory, as on a Linux where nobody asked yet, of this allocator."""
    monkeypatch.setattr(heap, "_done", False)
    monkeypatch.setattr(sys, "platform", "linux")

    def ask_of(library):
        def load(name):
            if isinstance(library, Exception):
                raise library
            return library

        monkeypatch.setattr(ctypes, "CDLL", load)
        return heap.keep_freed_memory()

    return ask_of


def test_the_allocator_is_asked_once(ask):
    allocator = Allocator()
    assert ask(allocator) is True
    first = list(allocator.asked)
    assert sorted(first) == sorted({
        (heap._M_MMAP_THRESHOLD, heap._NEVER), (heap._M_TRIM_THRESHOLD, heap._NEVER),
        (heap._M_ARENA_MAX, 1),
    })
    assert ask(allocator) is True
    assert allocator.asked == first


def test_an_older_allocator_gets_the_largest_threshold_it_takes(ask):
    allocator = Allocator(refused=[(heap._M_MMAP_THRESHOLD, heap._NEVER)])
    assert ask(allocator) is True
    assert (heap._M_MMAP_THRESHOLD, 32 * 2**20) in allocator.asked


@pytest.mark.parametrize("setting", [
    heap._M_MMAP_THRESHOLD, heap._M_TRIM_THRESHOLD, heap._M_ARENA_MAX
])
def test_an_allocator_that_refuses_a_setting_was_not_asked_with_success(ask, setting):
    refused = [(setting, value) for value in (heap._NEVER, heap._LARGEST_BEFORE, 1)]
    assert ask(Allocator(refused)) is False
    # and may be asked again
    assert ask(Allocator()) is True


@pytest.mark.parametrize("library", [OSError("no C library"), object()])
def test_a_c_library_without_mallopt_is_left_alone(ask, library):
    assert ask(library) is False


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_systems_are_left_as_they_are(ask, monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)
    allocator = Allocator()
    assert ask(allocator) is False
    assert allocator.asked == []
