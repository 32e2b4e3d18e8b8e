import numpy as np
import pytest

from npgpt.doctor import check
from npgpt.doctor.faults.places import common_ratio

from ..pairs import (
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


@pytest.mark.smoke
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


def pool_forward(x):
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    return pairs.max(-1), pairs


@pytest.mark.parametrize("factor", [1, 0.5])
def test_a_maximum_whose_gradient_is_spread_over_all_says_whose_it_is(factor):
    def backward(dout, pairs):
        spread = np.broadcast_to(dout[..., None] * factor, pairs.shape)
        return (spread.reshape(*dout.shape[:-1], -1),)

    found = named(pool_forward, backward, lambda dx: (dx,), normal(0, 2, 3, 8))
    assert [f.kind for f in found] == ["mask-forgotten"]
    assert "the gradient is that one's" in found[0].message
    assert "Backward gives the 24 others one too" in found[0].message
    assert ("the rest has 0.5 times" in found[0].message) is (factor == 0.5)


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


@pytest.mark.parametrize("keep", [0, -1])
def test_ids_that_only_the_batch_repeats_are_a_missing_sum_over_it(keep):
    def forward(x, table, positions):
        return x + table[positions], (positions, table.shape)

    def backward(dout, cache):
        positions, shape = cache
        dtable = np.zeros(shape)
        dtable[positions] = dout[keep]
        return dout, dtable, None

    report = check(forward, backward, normal(0, 3, 4, 5), normal(1, 9, 5), np.array([3, 4, 5, 6]))
    assert report.kinds == ["missing-broadcast-sum"]
    assert "a sum is missing" in report.findings[0].message


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


def linear(damage):
    """The findings of a linear layer whose gradients went through `damage`."""
    return check(linear_forward, damaged(linear_backward, damage), *linear_inputs()).findings


@pytest.mark.smoke
@pytest.mark.parametrize("change, words", [
    (lambda v: v * (1 + 1e-6), "1.000001 times"),
    (lambda v: 0.0, "is zero"),
    (lambda v: -v, "wrong sign"),
    (lambda v: v + 0.5, "0.5 added to it, whatever dout is"),
    (lambda v: 3.0, "is 3, whatever dout is"),
])
def test_one_wrong_element_is_told_with_its_place_and_how_it_is_wrong(change, words):
    def damage(dx, dw, db):
        dw = dw.copy()
        dw[2, 1] = change(dw[2, 1])
        return dx, dw, db

    found = linear(damage)
    assert [f.kind for f in found][-1] in ("wrong-element", "extra-term")
    assert found[-1].index == (2, 1)
    if found[-1].kind == "wrong-element":
        assert "[2, 1]" in found[-1].message and words in found[-1].message
        assert "the other 19 are right" in found[-1].evidence


@pytest.mark.parametrize("added, words", [
    (1e-3, "0.001. Every term"),
    (np.eye(4, 5), "at [0, 0]"),
    (np.arange(20.0).reshape(4, 5), "a term"),
])
def test_a_term_without_dout_is_an_extra_term(added, words):
    found = linear(lambda dx, dw, db: (dx, dw + added, db))
    assert [f.kind for f in found] == ["extra-term"]
    assert words in found[0].message
    assert "dout of zeros" in found[0].evidence


def test_the_ratio_that_most_elements_share_is_found_among_strangers():
    numeric = normal(0, 3, 20)
    analytic = -2.5 * numeric
    analytic[:, 3:7] = normal(1, 3, 4)
    assert common_ratio(analytic, numeric) == pytest.approx(-2.5, rel=1e-9)
    assert common_ratio(normal(2, 3, 20), numeric) is None


def test_an_element_beyond_the_grasp_of_the_numbers_is_not_called_wrong():
    def backward(dout, x):
        return (dout / (2 * np.sqrt(x)) * np.array([1, 1.001, 1]),)

    report = check(lambda x: (np.sqrt(np.abs(x)), x), backward, np.array([2e-3, 0.5, 3.0]))
    assert report.kinds == ["wrong-element"]
    assert "[1] is 1.001 times" in report.findings[0].message
