"""The steps of a check find what is wrong, in their order, and say it with names."""

import numpy as np
import pytest

from npgpt.doctor import Program, check
from npgpt.learn.grading import Grading, Stop


def found(step, every=False):
    """The findings of one step."""
    grading = Grading(every)
    try:
        step(grading)
    except Stop:
        pass
    return grading.findings


@pytest.mark.parametrize("mine, kind, words", [
    (lambda x: x.T * 2, "wrong-shape", "(5, 3); expected (B=3, C=5)"),
    (lambda x: None, "not-an-array", "return forgotten"),
    (lambda x: "text", "not-an-array", "a str"),
    (lambda x: (2 * x).astype(np.float32), "wrong-type", "float32"),
    (lambda x: x @ x, "raises", "matmul"),
    (lambda x: 3 * x, "factor", "1.5"),
    (lambda x: np.where(x > 0, 2 * x, 0), "unexplained", "values"),
])
def test_shape_type_and_values_are_found_in_this_order(mine, kind, words):
    (finding,) = found(lambda g: g.values(lambda x: 2 * x, mine, g.normal(3, 5), axes="B C"))
    assert finding.kind == kind and words in finding.text


def test_a_wrong_shape_is_said_once():
    for axes in ("", "B C"):
        (finding,) = found(lambda g: g.values(
            lambda x: 2 * x, lambda x: x[:1], np.ones((2, 3)), axes=axes))
        assert finding.text.count("expected") == 1 and finding.text.count("(1, 3)") == 1


def test_what_has_a_finding_is_not_right_too():
    grading = Grading(True)
    grading.values(lambda x: 2 * x, lambda x: x + 2, np.array([2.0]))
    assert grading.right == ["the values of <lambda>"]
    for x in ([3.0], [2.0]):
        grading.values(lambda x: 2 * x, lambda x: x + 2, np.array(x))
    assert grading.findings and grading.right == []


def test_a_place_in_a_step_is_readable():
    report = Program("steps", lambda x: {"step 1": {"wte.weight": x}}, [])
    (finding,) = found(lambda g: g.values(
        report, lambda x: {"step 1": {"wte.weight": 3 * x}}, np.ones((2, 2))))
    assert "At step 1, wte.weight[0, 0]: expected" in finding.text


def test_expected_and_got_stand_at_the_first_wrong_index():
    (finding,) = found(lambda g: g.values(lambda x: 2 * x, lambda x: 3 * x, np.ones((2, 3))))
    assert "At [0, 0]: expected 2, got 3." in finding.text


def test_a_program_of_the_doctors_is_drawn_without_inputs():
    (finding,) = found(lambda g: g.values("softmax", lambda x: np.exp(x)))
    assert finding.step == "values"


def test_a_wrong_gradient_is_named_with_both_numbers():
    def forward(x):
        return x**2, x

    (finding,) = found(lambda g: g.gradient(forward, lambda d, x: (d * x,), g.normal(2, 3)))
    assert (finding.kind, finding.step) == ("factor", "gradient")
    assert "expected" in finding.text and "got" in finding.text
    assert found(lambda g: g.gradient(forward, lambda d, x: (2 * d * x,), g.normal(2, 3))) == []
    (finding,) = found(lambda g: g.function(lambda x: (x**3).sum(), lambda x: x**2, np.ones(3)))
    assert finding.kind == "factor"


SUM = Program("sum", lambda x: {"dx": x}, [
    ("halved", lambda x: {"dx": x / 2}, "it is halved"), ("lost", lambda x: {"dx": 0 * x}, "lost")])


@pytest.mark.parametrize("mine, kinds", [
    (lambda x: {"dx": x}, []), (lambda x: {"dx": x / 2}, ["halved"]), (lambda x: {"dx": x**2}, []),
    (lambda x: None, []), (lambda x: {"dx": "text"}, []), (lambda x: x @ x, []),
])
def test_only_the_exercises_own_mistake_is_named_before_the_doctor_looks(mine, kinds):
    findings = found(lambda g: g.known(SUM, mine, np.array([2.0, 3.0, 5.0])))
    assert [finding.kind for finding in findings] == kinds
    if kinds:
        assert "At dx[0]: expected 2, got 1." in findings[0].text


def test_arrays_that_no_exercise_makes_do_not_hold_a_right_gradient_up():
    def forward(x):
        return 2 * x, None

    def backward(dout, cache):
        dx = np.zeros_like(dout)
        dx.reshape(-1)[:] = 2 * dout.reshape(-1)    # a view only of what lies row by row
        return (dx,)

    assert check(forward, backward, np.ones((2, 3))).kinds == ["layout"]
    assert found(lambda g: g.gradient(forward, backward, np.ones((2, 3)))) == []


def test_what_is_found_on_several_inputs_is_one_finding():
    def both(g):
        for size in (2, 3):
            g.values(lambda x: 2 * x, lambda x: -2 * x, np.ones(size))
        g.fail("other", "something else")

    assert [finding.kind for finding in found(both, every=True)] == ["wrong-sign", "other"]


def test_a_step_that_is_right_on_several_inputs_is_named_once():
    grading = Grading()
    for size in (2, 3):
        grading.values(lambda x: 2 * x, lambda x: 2 * x, np.ones(size))
    assert len(grading.right) == 1


def test_inputs_that_are_no_numbers_are_a_finding():
    (finding,) = found(lambda g: g.gradient(lambda x: (x, x), lambda d, x: (d,), "text"))
    assert finding.kind == "contract"


def raising():
    raise KeyError("x")


@pytest.mark.parametrize("test, finds", [
    (lambda: True, []), (lambda: None, []), (lambda: False, ["seen"]),
    (lambda: "it was 3", ["seen"]), (raising, ["raises"]),
])
def test_a_probe_holds_or_says_what_happened(test, finds):
    findings = found(lambda g: g.probe("seen", "it is seen", test))
    assert [finding.kind for finding in findings] == finds


def test_one_finding_ends_the_check_unless_all_are_asked_for():
    def both(g):
        g.fail("first", "this")
        g.fail("second", "that", "a detail")

    assert [f.kind for f in found(both)] == ["first"]
    assert [f.text for f in found(both, every=True)] == ["this", "that\na detail"]


def test_every_finding_of_the_doctor_comes_with_all():
    def backward(dout, cache):
        a, b = cache
        return 2 * dout * b, dout

    arrays = [np.random.default_rng(n).standard_normal((2, 3)) for n in (0, 1)]
    step = lambda g: g.gradient(lambda a, b: (a * b, (a, b)), backward, *arrays)  # noqa: E731
    assert len(found(step)) == 1 and len(found(step, every=True)) == 2


def test_the_same_numbers_are_drawn_in_every_check():
    assert np.array_equal(Grading().normal(2, 3), Grading().normal(2, 3))
    ids = Grading().ids(20, below=3)
    assert ids.dtype.kind == "i" and {*ids} == {0, 1, 2}
