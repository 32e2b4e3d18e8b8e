import numpy as np
import pytest

from npgpt.doctor import check
from npgpt.doctor.behaviour import AllClose
from npgpt.doctor.evidence.subject import Subject

from .pairs import dropout_forward, linear_backward, linear_forward, linear_inputs, normal

X = normal(0, 3, 4)


def square_forward(x):
    return x * x, x


def kinds(forward, backward, *inputs, **settings):
    return check(forward, backward, *(inputs or (X,)), **settings).kinds


def test_a_forward_that_writes_into_its_input_is_found():
    def forward(x):
        out = x * x
        old = x.copy()
        x += 1
        return out, old

    report = check(forward, lambda dout, x: (2 * dout * x,), X)
    assert report.kinds == ["in-place"]
    assert report.findings[0].argument == "x"


@pytest.mark.parametrize("which", ["dout", "cache"])
def test_a_backward_that_writes_into_what_it_was_given_is_found(which):
    def backward(dout, x):
        dx = 2 * dout * x
        (dout if which == "dout" else x).fill(0)
        return (dx,)

    report = check(lambda x: (x * x, x.copy()), backward, X)
    assert report.kinds[0] == "in-place"
    assert report.findings[0].argument == which


class Box:
    __slots__ = ("total",)

    def __init__(self):
        self.total = 0.0


def test_a_backward_that_adds_to_what_it_keeps_is_accumulated_twice():
    def backward(dout, cache):
        x, box = cache
        box.total = box.total + 2 * dout * x
        return (box.total,)

    assert kinds(lambda x: (x * x, (x, Box())), backward) == ["accumulated-twice"]


def test_a_backward_that_adds_into_an_array_of_its_cache_is_in_place():
    def backward(dout, cache):
        x, total = cache
        total += 2 * dout * x
        return (total.copy(),)

    found = kinds(lambda x: (x * x, (x, np.zeros_like(x))), backward)
    assert found == ["in-place"]


def test_a_mask_drawn_anew_in_backward_is_found():
    rng = np.random.default_rng(0)

    def backward(dout, mask):
        return (dout * (rng.random(dout.shape) >= 0.4) / 0.6,)

    found = kinds(dropout_forward, backward, X, rate=0.4, rng=np.random.default_rng(1))
    assert found[0] == "mask-redrawn"


def test_a_forward_that_draws_on_its_own_is_told_to_take_a_generator():
    rng = np.random.default_rng(0)

    def forward(x):
        mask = rng.random(x.shape) > 0.5
        return x * mask, mask

    report = check(forward, lambda dout, mask: (dout * mask,), X)
    assert "not-repeatable" in report.kinds
    assert "rng" in report.findings[0].message


def test_a_backward_that_uses_the_newest_forward_instead_of_its_cache_is_stale():
    state = {}

    def forward(x):
        state["x"] = x
        return x * x, None

    assert kinds(forward, lambda dout, cache: (2 * dout * state["x"],)) == ["stale-cache"]


def test_a_backward_that_keeps_the_first_cache_is_stale():
    state = {}

    def backward(dout, x):
        return (2 * dout * state.setdefault("x", x),)

    assert kinds(square_forward, backward) == ["stale-cache"]


def test_a_linear_function_may_well_ignore_its_cache():
    assert kinds(lambda x: (3 * x, None), lambda dout, cache: (3 * dout,)) == []


def test_a_backward_that_is_not_linear_in_dout_is_noted():
    report = check(square_forward, lambda dout, x: (2 * dout * np.abs(dout) * x,), X)
    assert not report.ok
    assert any("not linear" in text for text in [f.message for f in report.findings] + report.notes)


def test_a_pair_that_needs_contiguous_arrays_is_found():
    def forward(x):
        return x * x, x.ravel(order="K").copy()

    def backward(dout, flat):
        return (2 * dout * flat.reshape(dout.shape),)

    assert kinds(forward, backward) == ["layout"]


def test_a_pair_that_takes_equal_inputs_for_one_is_found():
    def forward(a, b):
        return a * b, (a, b, a is b)

    def backward(dout, cache):
        a, b, one = cache
        return dout * b * (2 if one else 1), dout * a

    assert kinds(forward, backward, X, X + 1) == ["shared-input"]


def test_right_pairs_pass_every_check_of_behaviour():
    assert kinds(linear_forward, linear_backward, *linear_inputs()) == []


def test_a_stale_cache_shows_at_any_scale_of_the_gradient():
    state = {}

    def forward(x):
        state["x"] = x
        return 1e-10 * x * x, None

    assert kinds(forward, lambda dout, cache: (2e-10 * dout * state["x"],)) == ["stale-cache"]


@pytest.mark.parametrize("copied", [True, False])
def test_a_gradient_that_grows_from_call_to_call_is_told_once_and_so(copied):
    total = np.zeros_like(X)

    def backward(dout, x):
        total[...] += 2 * dout * x
        return (total.copy() if copied else total,)

    report = check(square_forward, backward, X)
    assert report.kinds == ["accumulated-twice"]
    assert "grows by the same amount in every call" in report.findings[0].message
    assert "No gradient was compared" in report.notes[0]


def test_a_pair_that_writes_into_a_broadcast_array_of_its_own_making_is_found():
    def forward(x):
        return x * x, x.base if x.base is not None and x.base.shape != x.shape else x

    report = check(forward, lambda dout, x: (2 * dout * np.resize(x, dout.shape),), X)
    assert report.kinds == ["layout"]


def test_broadcast_inputs_are_tried():
    def forward(x):
        return x * x, (x, 0 in x.strides)

    def backward(dout, cache):
        x, stretched = cache
        return (2 * dout * x * (3 if stretched else 1),)

    report = check(forward, backward, X)
    assert report.kinds == ["layout"] and "np.broadcast_to" in report.findings[0].message


def test_closeness_is_relative_to_each_gradient_and_forgives_rounding_of_a_zero():
    subject = Subject(square_forward, None, (X,), {})
    close = AllClose(subject, X * X, np.ones_like(X), exact=True)
    assert close((1e-12 * X,), (1e-12 * X * (1 + 1e-10),))
    assert not close((1e-7 * X,), (1.001e-7 * X,))
    assert close((1e-17 * X,), (-1e-17 * X,))
    assert not close((X,), (None,)) and close((None,), (None,)) and not close((X,), (X[0],))
