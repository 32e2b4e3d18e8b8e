"""Runs cover everything once; rows are views where they can be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.fast.blocks import BLOCK, as_rows, check_real, of_one_type, run_length, runs


@given(
    start=st.integers(0, 500), count=st.integers(0, 3000), width=st.integers(0, 40),
    block=st.integers(1, 200),
)
def test_runs_cover_every_row_exactly_once_and_in_order(start, count, width, block):
    slices = list(runs(start, start + count, width, block))
    rows = [row for run in slices for row in range(run.start, run.stop)]
    assert rows == list(range(start, start + count))
    lengths = [run.stop - run.start for run in slices]
    # only the last may be shorter, and scratch of run_length rows fits each
    assert all(length == run_length(width, block) for length in lengths[:-1])
    assert all(0 < length <= run_length(width, block) for length in lengths)


@given(width=st.integers(0, 3 * BLOCK))
def test_a_run_fits_a_block_unless_it_is_a_single_row(width):
    length = run_length(width)
    assert length >= 1
    assert length == 1 or length * width <= BLOCK
    # and wastes no room for another row
    assert width == 0 or (length + 1) * width > BLOCK


@given(lead=st.lists(st.integers(0, 4), max_size=3), width=st.integers(0, 5))
def test_rows_keep_the_numbers_and_their_order(lead, width):
    shape = (*lead, width)
    x = np.arange(math.prod(shape), dtype=float).reshape(shape)
    rows = as_rows(x)
    assert rows.shape == (math.prod(lead), width)
    assert rows.ravel().tolist() == list(range(x.size))


def test_rows_of_a_contiguous_array_are_the_array_itself():
    x = np.zeros((2, 3, 5))
    assert np.shares_memory(as_rows(x), x)


@pytest.mark.parametrize("view", [
    lambda x: x.swapaxes(0, 1), lambda x: x[:, :, ::2], lambda x: x[::-1], lambda x: x.T,
])
def test_rows_of_any_view_are_contiguous_and_right(view):
    x = view(np.random.default_rng(0).standard_normal((2, 3, 5)))
    rows = as_rows(x)
    assert rows.flags.c_contiguous
    for row, index in zip(rows, np.ndindex(*x.shape[:-1])):
        np.testing.assert_array_equal(row, x[index])


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_numbers_are_rejected_wherever_they_stand(dtype):
    real = np.zeros(3)
    check_real(real, None, real.astype(np.float32))
    with pytest.raises(TypeError, match="expect float32 or float64, got int64$"):
        check_real(real, np.arange(3))
    with pytest.raises(TypeError, match=f"got {dtype}; the textbook's ops take complex"):
        check_real(real, None, np.zeros(2, dtype))


def test_arrays_of_one_type_are_not_copied_and_others_become_the_wider():
    single, double = np.ones(3, np.float32), np.ones(2)
    same = of_one_type(single, None, single)
    assert same[0] is same[2] is single and same[1] is None
    widened, nothing, same = of_one_type(single, None, double)
    assert widened.dtype == np.float64 and nothing is None and same is double
    with pytest.raises(TypeError, match="got float16$"):
        of_one_type(single, np.ones(1, np.float16))
