import numpy as np
import pytest

from npgpt.gradcheck import check

from .pairs import (
    damaged,
    dropout_forward,
    embedding_backward,
    embedding_forward,
    embedding_inputs,
    linear_backward,
    linear_forward,
    linear_inputs,
    normal,
    softmax_backward,
    softmax_forward,
)


def named(forward, backward, damage, *inputs, **settings):
    """The findings of a pair whose gradients went through `damage`, which has no source to read."""
    return check(forward, damaged(backward, damage), *inputs, **settings).findings


@pytest.mark.parametrize("change, kind", [
    (lambda mask: np.ones_like(mask), "mask-forgotten"),
    (lambda mask: (mask == 0) / 0.6, "mask-inverted"),
    (lambda mask: (mask != 0) * 1.0, "mask-not-rescaled"),
    (lambda mask: mask[::-1], "mask-redrawn"),
])
def test_faults_of_a_dropout_mask_are_told_apart(change, kind):
    report = check(
        dropout_forward, lambda dout, mask: (dout * change(mask),), normal(0, 4, 5), rate=0.4,
        rng=np.random.default_rng(1))
    assert report.kinds == [kind]


def test_a_gradient_where_the_input_has_no_influence_is_a_forgotten_mask():
    def forward(x):
        out, cache = softmax_forward(x[:2])
        return out, cache

    def backward(dout, cache):
        (dx,) = softmax_backward(dout, cache)
        return (np.concatenate([dx, dx[:1]]),)

    assert check(forward, backward, normal(0, 3, 5)).kinds == ["mask-forgotten"]


@pytest.mark.parametrize("keep", ["last", "first"])
def test_repeated_ids_of_which_one_is_kept_are_told_with_the_id(keep):
    def backward(dout, cache):
        ids, shape = cache
        order = slice(None) if keep == "last" else slice(None, None, -1)
        dweight = np.zeros(shape)
        dweight[ids.reshape(-1)[order]] = dout.reshape(-1, shape[1])[order]
        return None, dweight

    report = check(embedding_forward, backward, *embedding_inputs())
    assert report.kinds == ["repeated-ids-overwritten"]
    assert keep in report.findings[0].message
    assert "id 1 comes 3 times" in report.findings[0].evidence
    assert check(embedding_forward, embedding_backward, *embedding_inputs()).ok


def test_part_of_the_batch_that_never_counts_in_a_weight_is_told():
    def backward(dout, cache):
        dout = dout.copy()
        dx, _, _ = linear_backward(dout, cache)
        dout[1] = 0
        _, dw, db = linear_backward(dout, cache)
        return dx, dw, db

    report = check(linear_forward, backward, *linear_inputs())
    assert report.kinds[0] in ("batch-dropped", "missing-broadcast-sum")
    assert "axis 0" in report.findings[0].message


def test_a_backward_without_dout_is_told():
    report = check(lambda x: (x**3, x), lambda dout, x: (3 * x**2,), normal(0, 4))
    assert report.kinds == ["missing-factor"]
    assert "dout" in report.findings[0].message


@pytest.mark.parametrize("batch", [2, 3, 5])
def test_a_batch_that_is_cut_in_backward_is_batch_dropped_at_any_size(batch):
    def backward(dout, cache):
        x, weight, _ = cache
        dweight = np.einsum("btc,btd->cd", x[:-1], dout[:-1])
        return dout @ weight.T, dweight, dout.sum((0, 1))

    report = check(
        linear_forward, backward, normal(0, batch, 3, 4), normal(1, 4, 5), normal(2, 5))
    assert report.kinds == ["batch-dropped"]
    assert f"number {batch - 1} along axis 0" in report.findings[0].message
