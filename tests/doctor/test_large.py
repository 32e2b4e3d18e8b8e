import numpy as np
import pytest

from npgpt.doctor import check

from .pairs import damaged, linear_backward, linear_forward, normal


def big_inputs():
    return normal(0, 9, 7, 30), normal(1, 30, 20), normal(2, 20)


def test_large_tensors_are_sampled_and_right_ones_pass():
    report = check(linear_forward, linear_backward, *big_inputs())
    assert report.ok, str(report)
    assert [(r.argument, r.sampled) for r in report.rows] == [
        ("x", True), ("weight", True), ("bias", False)]
    assert report.worst < 1e-12


@pytest.mark.parametrize("index", [(0, 0), (29, 19), (13, 7)])
def test_one_wrong_element_among_many_is_found_by_halving(index):
    def damage(dx, dw, db):
        dw = dw.copy()
        dw[index] += 1e-4
        return dx, dw, db

    report = check(linear_forward, damaged(linear_backward, damage), *big_inputs())
    assert [(f.argument, f.index) for f in report.findings] == [("weight", index)]
    assert report.findings[0].picture.count("#") == 1


def test_errors_in_a_block_show_in_the_picture():
    def damage(dx, dw, db):
        dw = dw.copy()
        dw[:10] *= 1 + normal(5, 10, 20)
        return dx, dw, db

    report = check(linear_forward, damaged(linear_backward, damage), *big_inputs())
    assert report.findings[0].picture.splitlines() == 2 * ["#" * 16] + 4 * ["." * 16]


def test_a_fault_in_a_large_tensor_is_named_on_inputs_cut_small():
    report = check(
        linear_forward, damaged(linear_backward, lambda dx, dw, db: (dx, dw, db[::-1])),
        *big_inputs())
    assert report.kinds == ["axes-swapped"]
    report = check(
        linear_forward, damaged(linear_backward, lambda dx, dw, db: (-dx, dw, db)), *big_inputs())
    assert report.kinds == ["wrong-sign"]


def test_the_tolerance_does_not_grow_with_the_size():
    def f(x):
        return np.sin(x), x

    tolerances = []
    for size in (600, 60_000):
        report = check(f, lambda dout, x: (dout * np.cos(x),), normal(0, size))
        assert report.ok
        tolerances.append(report.rows[0].tolerance)
        wrong = check(f, lambda dout, x: (dout * np.cos(x) * (1 + 1e-8),), normal(0, size))
        assert not wrong.ok
    assert tolerances[1] <= 2 * tolerances[0]


def test_a_large_gradient_of_the_wrong_shape_is_found():
    report = check(
        linear_forward, damaged(linear_backward, lambda dx, dw, db: (dx, dw.T, db)), *big_inputs())
    assert [(f.kind, f.argument) for f in report.findings] == [("transposed", "weight")]


def test_nan_in_a_large_gradient_is_reported_with_its_place():
    def damage(dx, dw, db):
        dw = dw.copy()
        dw[4, 5] = np.nan
        return dx, dw, db

    report = check(linear_forward, damaged(linear_backward, damage), *big_inputs())
    assert [(f.kind, f.index) for f in report.findings] == [("not-finite", (4, 5))]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("zeros", [False, True])
def test_kinks_among_many_elements_are_no_fault_without_a_complex_step(seed, zeros):
    x = normal(seed, 60, 40)
    x = np.where(x < 0, 0, x) if zeros else x
    pairs = [
        (lambda x: (np.abs(x) ** 1.5, x),
         lambda dout, x: (dout * 1.5 * np.sign(x) * np.abs(x) ** 0.5,)),
        (lambda x: (np.abs(x), x), lambda dout, x: (dout * np.sign(x),)),
        (lambda x: (np.clip(np.real(x), -1, 1), x), lambda dout, x: (dout * (np.abs(x) < 1),)),
    ]
    for forward, backward in pairs[zeros:]:
        report = check(forward, backward, x)
        assert report.ok, str(report)
        assert report.rows[0].tolerance < 1e-5

        def wrong(dout, cache, backward=backward):
            dx = backward(dout, cache)[0].copy()
            dx[7, 11] += 0.01
            return (dx,)

        assert not check(forward, wrong, x).ok


FIXED = normal(9, 30, 30)  # a matrix that the function knows: inputs cannot be cut small


def steep_forward(x):
    return np.tanh(x) @ FIXED, x


def steep_backward(dout, x):
    return ((dout @ FIXED.T) * (1 - np.tanh(x) ** 2),)


@pytest.mark.parametrize("damage, kind, words", [
    (lambda dx: (dx.T,), "transposed", "it is transposed."),
    (lambda dx: (dx[::-1],), "axes-swapped", "Axis 0"),
    (lambda dx: (dx.sum(),), "wrong-shape", "(30, 30)"),
    (lambda dx: (np.stack([dx / 2, dx / 2]),), "missing-broadcast-sum", "sum over axis 0"),
    (lambda dx: (dx.reshape(-1),), "wrong-shape", "its elements are right"),
])
def test_a_large_gradient_is_named_along_directions(damage, kind, words):
    report = check(steep_forward, damaged(steep_backward, damage), normal(0, 30, 30))
    assert report.kinds == [kind]
    assert words in report.findings[0].message


def test_a_transposed_large_gradient_of_another_shape_is_named():
    report = check(
        linear_forward, damaged(linear_backward, lambda dx, dw, db: (dx, dw.T, db)),
        normal(0, 9, 7, 30), normal(1, 30, 20), normal(2, 20))
    assert report.kinds == ["transposed"]
    assert "(20, 30)" in report.findings[0].message


def test_several_wrong_elements_among_many_are_all_found():
    def damage(dx):
        dx = dx.copy()
        dx[3, 4] *= 2
        dx[29, 0] = 0
        dx[11, 17] *= -1.5
        return (dx,)

    report = check(steep_forward, damaged(steep_backward, damage), normal(0, 30, 30))
    assert report.kinds == ["wrong-element"]
    message = report.findings[0].message
    assert "[3, 4] is 2 times" in message
    assert "[11, 17] is -1.5 times" in message and "[29, 0] is zero" in message


def test_many_wrong_elements_are_a_picture():
    def damage(dx):
        dx = dx.copy()
        dx[:15, :10] *= normal(3, 15, 10)
        return (dx,)

    report = check(steep_forward, damaged(steep_backward, damage), normal(0, 30, 30))
    assert report.kinds == ["unexplained"]
    assert report.findings[0].picture.splitlines()[-1] == "." * 16


def test_a_large_gradient_transposed_and_of_the_wrong_sign_has_two_names():
    report = check(steep_forward, damaged(steep_backward, lambda dx: (-dx.T,)), normal(0, 30, 30))
    assert report.kinds == ["transposed", "wrong-sign"]
