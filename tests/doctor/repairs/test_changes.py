"""What a report says of a change: the line, what stands there, what would be right there."""

import numpy as np
import pytest

from npgpt.doctor import check_function

X = np.random.default_rng(0).standard_normal((2, 3))


def g(x):
    return x ** 2


@pytest.mark.parametrize("f, grad, wanted", [
    (lambda x: np.sum(x**3), lambda x: 3 * x, "`3 * x`; `3 * x * x` would be right"),
    (lambda x: np.sum(x**2), lambda x: x**2, "`x ** 2` in `lambda x: x ** 2`; `2 * x` would be"),
    (lambda x: np.sum(x * x), lambda x: x * x, "`2 * x` would be right"),
    (lambda x: np.sum(x**4), lambda x: x**4, "`4 * x ** 3` would be right"),
    (lambda x: np.sum(x**2), g, "of g has `x ** 2`; `2 * x` would be right"),
])
def test_what_would_be_right_can_be_written_as_it_is_printed(f, grad, wanted):
    (finding,) = check_function(f, grad, X).findings
    assert wanted in " ".join(finding.message.split())


def test_where_nothing_is_known_the_lines_are_the_users_and_so_is_the_name():
    def mine(x):
        a = np.sin(3 * x)
        return a * np.cosh(x) ** 0.3

    report = check_function(lambda x: np.sum(x**2), mine, X)
    first = mine.__code__.co_firstlineno
    assert report.kinds == ["unexplained"]
    assert f"lines {first + 1} to {first + 2} of mine" in report.findings[0].message
