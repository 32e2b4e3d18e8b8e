import numpy as np

from npgpt.gradcheck import check

from .pairs import linear_backward, linear_forward, linear_inputs, normal


def test_a_special_case_of_one_row_is_found():
    def backward(dout, cache):
        dx, dweight, dbias = linear_backward(dout, cache)
        return dx, dweight, dbias * (1 if len(dout) > 1 else 2)

    report = check(linear_forward, backward, *linear_inputs())
    assert report.kinds == ["size-1"]
    assert "(1, 3, 4)" in report.findings[0].message


def test_a_backward_that_fails_on_an_empty_batch_is_found():
    def backward(dout, cache):
        dx, dweight, dbias = linear_backward(dout, cache)
        assert len(dout) > 0, "empty"
        return dx, dweight, dbias

    report = check(linear_forward, backward, *linear_inputs())
    assert report.kinds == ["size-0"]


def test_a_forward_that_declines_odd_sizes_is_left_alone():
    def forward(x):
        if x.shape[0] < 2:
            raise ValueError("two rows at least")
        return x * x, x

    def backward(dout, x):
        assert len(x) >= 2
        return (2 * dout * x,)

    assert check(forward, backward, normal(0, 3, 4)).ok


def test_an_array_from_outside_is_no_fault():
    weight = normal(0, 4)
    report = check(
        lambda x: ((x * weight).sum(), x), lambda dout, x: (dout * weight,), normal(1, 4))
    assert report.ok, str(report)


def test_a_mean_over_an_empty_batch_is_nobodys_fault():
    def forward(x):
        return x.mean(axis=0), x.shape

    def backward(dout, shape):
        return (np.broadcast_to(dout / shape[0], shape).copy(),)

    assert check(forward, backward, normal(0, 3, 4)).ok
