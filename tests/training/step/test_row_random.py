import json

import numpy as np
import pytest

from npgpt.training.step.row_random import RowRandom


def test_numbers_are_uniform_float32():
    draw = RowRandom(0, 0, 0, rows=4).random((4, 50, 100))
    assert draw.dtype == np.float32
    assert 0 <= draw.min() < 0.001 and 0.999 < draw.max() < 1
    assert abs(draw.mean() - 0.5) < 0.01


def test_a_row_does_not_depend_on_how_the_batch_is_split():
    whole = RowRandom(1, 2, 3, rows=5)
    first, second = RowRandom(1, 2, 3, rows=5).rows(0, 2), RowRandom(1, 2, 3, rows=5).rows(2, 5)
    for shape in ((4, 7), (3,), (2, 2, 2)):
        parts = np.concatenate([first.random((2, *shape)), second.random((3, *shape))])
        np.testing.assert_array_equal(whole.random((5, *shape)), parts)


def test_a_row_drawn_in_pieces_is_the_row_drawn_at_once():
    whole = RowRandom(1, 2, 3, rows=2).random((2, 3, 8))
    source = RowRandom(1, 2, 3, rows=2)
    pieces = [source.random((2, 1, 8)) for _ in range(3)]
    np.testing.assert_array_equal(whole, np.concatenate(pieces, axis=1))


@pytest.mark.parametrize("other", [(2, 2, 3), (1, 3, 3), (1, 2, 4)])
def test_seed_step_and_micro_step_each_change_the_numbers(other):
    a, b = RowRandom(1, 2, 3, rows=2), RowRandom(*other, rows=2)
    assert not np.any(a.random((2, 40)) == b.random((2, 40)))


def test_rows_differ_from_each_other():
    draw = RowRandom(0, 0, 0, rows=2).random((2, 40))
    assert not np.any(draw[0] == draw[1])


@pytest.mark.parametrize("size", [None, 3, (), (3, 4)])
def test_a_shape_that_does_not_begin_with_the_batch_is_rejected(size):
    with pytest.raises(ValueError, match="2 sequences"):
        RowRandom(0, 0, 0, rows=2).random(size)


def test_a_source_goes_on_from_its_state_in_plain_values():
    source = RowRandom(3, 4, 5, 3)
    source.random((3, 5))
    again = RowRandom.from_state(json.loads(json.dumps(source.state())))
    np.testing.assert_array_equal(again.random((3, 7)), source.random((3, 7)))
