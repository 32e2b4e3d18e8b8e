import numpy as np
import pytest

from npgpt.doctor import check, check_function, constant

from .pairs import (
    damaged,
    embedding_backward,
    embedding_forward,
    embedding_inputs,
    linear_backward,
    linear_forward,
    linear_inputs,
    normal,
)


def findings(damage):
    return check(linear_forward, damaged(linear_backward, damage), *linear_inputs()).findings


@pytest.mark.parametrize("damage, kind, argument, words", [
    (lambda dx, dw, db: (dx, dw), "wrong-count", "", "2 gradients, but forward took 3"),
    (lambda dx, dw, db: (dx, db, dw), "another-input", "", "another order"),
    (lambda dx, dw, db: (dx, None, db), "missing-gradient", "weight", "None"),
    (lambda dx, dw, db: (dx, "dw", db), "not-an-array", "weight", "str"),
    (lambda dx, dw, db: (dx, dw.astype(np.float32), db), "float32", "weight", "float32"),
    (lambda dx, dw, db: (dx, dw.astype(int), db), "wrong-dtype", "weight", "int"),
    (lambda dx, dw, db: (dx, dw[:2], db), "wrong-shape", "weight", "(2, 5)"),
])
def test_what_backward_returned_is_told_in_a_sentence(damage, kind, argument, words):
    found = findings(damage)
    assert (found[0].kind, found[0].argument) == (kind, argument)
    assert words in found[0].message


def test_a_number_instead_of_an_array_is_found():
    def backward(dout, cache):
        dx, dw, _ = linear_backward(dout, cache)
        return dx, dw, dout.sum()

    report = check(linear_forward, backward, *linear_inputs())
    assert [f.argument for f in report.findings] == ["bias"]


def test_a_gradient_for_integer_ids_is_told():
    report = check(
        embedding_forward, damaged(embedding_backward, lambda none, dw: (dw * 0, dw)),
        *embedding_inputs())
    assert "unexpected-gradient" in report.kinds


def test_exceptions_become_findings_that_quote_them():
    def broken(dout, cache):
        raise RuntimeError("no idea")

    report = check(linear_forward, broken, *linear_inputs())
    assert report.kinds == ["backward-raises"]
    assert "RuntimeError: no idea" in report.findings[0].message
    report = check(lambda x: x + np.ones(7), broken, normal(0, 3))
    assert report.kinds == ["forward-raises"]


def test_a_forward_outside_the_contract_is_told():
    assert check(np.sin, np.cos, normal(0, 3)).kinds == ["contract"]


def test_a_forward_that_gives_nan_has_no_derivative():
    report = check(lambda x: (np.sqrt(x), x), lambda dout, x: (dout / x,), np.array([-1.0, 2.0]))
    assert report.kinds == ["not-finite"]


def test_a_special_case_of_one_row_is_found():
    def backward(dout, cache):
        dx, dweight, dbias = linear_backward(dout, cache)
        return dx, dweight, dbias * (1 if len(dout) > 1 else 2)

    report = check(linear_forward, backward, *linear_inputs())
    assert report.kinds == ["size-1"]
    assert "(1, 3, 4)" in report.findings[0].message


def test_a_wrong_shape_for_an_empty_batch_is_found():
    def backward(dout, cache):
        dx, dweight, dbias = linear_backward(dout, cache)
        return np.array([*dx]), dweight, dbias

    report = check(linear_forward, backward, *linear_inputs())
    assert report.kinds == ["size-0"]


def test_a_backward_that_raises_on_an_empty_batch_is_not_called_wrong():
    def backward(dout, x):
        return ((2 * dout).reshape(len(x), -1).reshape(x.shape),)

    report = check(lambda x: (2 * x, x), backward, linear_inputs()[0])
    assert report.ok and "cannot reshape array of size 0" in report.notes[-1]


def test_a_table_that_only_one_row_of_would_be_broadcast_keeps_its_size():
    def forward(x, table):
        return x + table[:x.shape[1]], (x, table)

    def backward(dout, cache):
        x, table = cache
        dtable = np.zeros_like(table)
        dtable[:x.shape[1]] = dout.sum(0)
        return dout, dtable

    x, table = np.random.default_rng(0).standard_normal((2, 3, 5)), np.eye(4, 5) + 0.5
    assert check(forward, backward, x, table).ok


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


@pytest.mark.parametrize("shape", [(2, 3, 5), (30, 40)])
@pytest.mark.parametrize("make", [
    lambda x: np.ones(2) * 1j, lambda x: np.ones(x.shape) * 1j, lambda x: (i for i in range(3)),
    lambda x: object(), lambda x: "dx", lambda x: np.full(x.shape, None), lambda x: [[1], [1, 2]],
    lambda x: np.full(x.shape, "a"), lambda x: {1}, lambda x: len, lambda x: 3j,
    lambda x: np.ma.masked_all(x.shape), lambda x: np.full(x.shape, np.datetime64("2020-01-01")),
])
def test_what_is_no_array_of_real_numbers_is_reported_and_not_compared(make, shape):
    report = check(lambda x, b: (x + b, x), lambda dout, x: (make(x), dout), np.ones(shape),
                   np.full(shape, 0.5))
    assert report.kinds[0] in ("not-an-array", "wrong-dtype")
    assert {row.argument: row.ok for row in report.rows} == {"b": True}
    assert not check_function(lambda x: 2 * x, lambda x, dout: make(x), np.ones(shape)).ok


def test_the_gradient_of_a_constant_is_not_examined():
    assert check(lambda x, w: (x @ w, (x, w)), lambda d, c: (d @ c[1].T, 9 * d), np.ones((2, 3)),
                 constant(np.ones((3, 4)))).ok


def test_a_dict_of_arrays_among_the_inputs_is_said_to_be_a_setting():
    report = check(lambda x, p: (x @ p["W"], (x, p)),
                   lambda d, c: (d @ c[1]["W"].T, {"W": c[0].T @ d}), np.ones((2, 3)),
                   {"W": np.ones((3, 4))})
    (finding,) = report.findings
    assert finding.kind == "wrong-count" and "The dict p counts as a setting" in finding.message


@pytest.mark.parametrize("seed", range(5))
def test_a_tiny_vector_of_unit_length_is_right_where_it_has_one_element(seed):
    def norm_forward(x):
        length = np.sqrt((x * x).sum(-1, keepdims=True))
        return x / length, (x / length, length)

    def norm_backward(dout, cache):
        unit, length = cache
        return (dout - unit * (unit * dout).sum(-1, keepdims=True)) / length

    x = 1e-8 * np.random.default_rng(seed).standard_normal((3, 4))
    assert check(norm_forward, norm_backward, x).ok
