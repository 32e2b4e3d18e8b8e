from types import SimpleNamespace

import numpy as np
import pytest

from npgpt.doctor.styles.parameters import parameters


def found(layer, after, rest=(), out=lambda layer: sum(np.sum(v) for v in vars(layer).values())):
    return parameters(layer, out, after, out(layer), rest, False)


@pytest.mark.parametrize("gradient", ["dscale", "d_scale", "grad_scale", "scale_grad"])
def test_an_array_is_a_parameter_if_its_gradient_is_there_afterwards(gradient):
    layer = SimpleNamespace(scale=np.ones(2), slope=0.5)
    after = SimpleNamespace(**vars(layer), **{gradient: np.ones(2)}, dslope=1.0)
    assert [p.name for p in found(layer, after)[0]] == ["scale", "slope"]
    found(layer, after)[0][0].put(layer, 3 * np.ones(2))
    assert layer.scale.tolist() == [3, 3]


def test_one_array_under_two_names_is_one_parameter_and_both_are_exchanged():
    W = np.ones(2)
    layer = SimpleNamespace(W=W, inner=SimpleNamespace(W=W))
    after = SimpleNamespace(W=W, inner=SimpleNamespace(W=W, dW=W))
    ((p,), note) = found(layer, after, out=lambda layer: 0)
    p.put(layer, np.zeros(2))
    assert layer.W is layer.inner.W and not layer.W.any() and not note


def test_what_backward_returned_goes_by_shape_and_then_by_order():
    layer = SimpleNamespace(W=np.ones((2, 3)), b=np.ones(3), c=np.ones(3))
    out, _ = found(layer, layer, (np.ones(3), np.ones((2, 3)), np.ones(3)))
    assert [(p.name, p.number) for p in out] == [("W", 1), ("b", 0), ("c", 2)]


def test_arrays_that_count_without_a_gradient_are_named_and_others_are_not():
    layer = SimpleNamespace(mean=np.ones(2), x=np.ones(2), W=np.ones(2), dW=np.ones(2))
    out, note = found(layer, layer, out=lambda layer: (layer.W * layer.mean).sum())
    assert [p.name for p in out] == ["W"] and "gradient for mean:" in note
