import numpy as np
import pytest

from npgpt.gradcheck import check

from .pairs import damaged, linear_backward, linear_forward, normal

FIXED = normal(9, 30, 30)  # a matrix that the function knows: inputs cannot be cut small


def steep_forward(x):
    return np.tanh(x) @ FIXED, x


def steep_backward(dout, x):
    return ((dout @ FIXED.T) * (1 - np.tanh(x) ** 2),)


@pytest.mark.parametrize("damage, kind, words", [
    (lambda dx: (dx.T,), "transposed", "it is transposed."),
    (lambda dx: (-dx.T,), "transposed", "has the wrong sign"),
    (lambda dx: (dx[::-1],), "axes-swapped", "axis 0"),
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
