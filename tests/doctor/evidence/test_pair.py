"""A pair's calls see fresh copies; inputs become arrays, and forward names them."""

import numpy as np
import pytest

from npgpt.doctor import check
from npgpt.doctor.evidence.pair import Pair, argument_names, fresh_copy
from npgpt.gradcheck.pair import ContractError, constant

pytestmark = pytest.mark.smoke


def scale_forward(x, factor, mask=None, *, power=1):
    return x * factor**power, (x, factor)


def scale_backward(dout, cache):
    x, factor = cache
    return dout * factor, dout * x


def made(*inputs, **settings):
    return Pair(scale_forward, scale_backward, inputs, settings)


def test_names_are_forwards_own():
    assert argument_names(scale_forward, 2) == ["x", "factor"]
    assert argument_names(lambda *arrays: arrays, 2) == ["arrays0", "arrays1"]


def test_a_constant_has_no_gradient_though_it_is_a_float():
    assert made(np.ones(2), constant(np.ones(2))).floats == (0,)
    assert made(np.ones(2), np.ones(2)).floats == (0, 1)


def test_a_forward_that_writes_spoils_no_later_call():
    def greedy(x):
        x *= 2
        return x, None

    pair = Pair(greedy, lambda dout, cache: 2 * dout, (np.ones(3),), {})
    assert np.array_equal(pair.run()[0], pair.run()[0])


def test_a_generator_among_the_settings_draws_the_same_numbers_each_time():
    pair = Pair(lambda x, rng: (x * rng.random(3), None), lambda d, c: d, (np.ones(3),),
                {"rng": np.random.default_rng(5)})
    assert np.array_equal(pair.run()[0], pair.run()[0])


@pytest.mark.parametrize("result, words", [
    (np.ones(2), "an array of shape"), ((1, 2, 3), "a tuple of 3"), (None, "None")])
def test_a_forward_without_a_cache_is_answered_with_what_it_gave(result, words):
    with pytest.raises(ContractError, match=f"forward returned {words}"):
        Pair(lambda x: result, lambda d, c: d, (np.ones(2),), {}).run()


def test_a_setting_before_the_last_array_goes_by_name():
    pair = Pair(lambda x, eps, w: (x + eps * w, None), lambda d, c: (d, d),
                (np.ones(2), np.full(2, 3.0)), {"eps": 2.0})
    assert pair.names == ["x", "w"]
    assert pair.run()[0].tolist() == [7.0, 7.0]


def test_a_copy_is_shared_where_there_can_be_none(tmp_path):
    rng = np.random.default_rng(5)
    assert fresh_copy(rng).random() == rng.random()
    with (tmp_path / "log").open("w") as file:
        assert fresh_copy(file) is file


def test_gradients_in_a_list_are_gradients():
    assert check(lambda x, w: (x @ w, (x, w)), lambda d, c: [d @ c[1].T, c[0].T @ d],
                 np.ones((2, 3)), np.ones((3, 4))).ok
