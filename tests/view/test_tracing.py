"""The pass of a page is the pass of the probe, with every op's inputs by name."""

import numpy as np
import pytest

from npgpt.probe.trace import trace

from .models import subject, trace_of, window

pytestmark = pytest.mark.smoke


@pytest.mark.parametrize("changes", [{}, {"residual": False}, {"weight_norm": True},
                                     {"activation_function": "swiglu"}], ids=str)
def test_values_and_gradients_are_those_of_the_probe(changes):
    seen, model, text = trace_of(**changes), subject(**changes), window()
    whole = trace(model.params, text.ids[None], text.targets[None], model.config)
    for name, one in seen.steps.items():
        np.testing.assert_array_equal(one.out, whole.activations[name])
        if one.gradient is not None:
            np.testing.assert_array_equal(one.gradient, whole.dactivations[name])
    for name, grad in whole.grads.items():
        np.testing.assert_array_equal(seen.grads[name], grad)


def test_every_input_is_a_step_before_it_a_parameter_or_data():
    seen, before = trace_of(), []
    for name, one in seen.steps.items():
        for each in one.inputs:
            if each.kind == "entry":
                assert each.name in before
                np.testing.assert_array_equal(each.array, seen.steps[each.name].out)
            elif each.kind == "parameter":
                np.testing.assert_array_equal(each.array, seen.params[each.name])
            else:
                assert each.array.dtype.kind == "i"
        before.append(name)
    assert [each.name for each in seen.steps["h.1.attn.c_attn"].inputs] == [
        "h.1.ln_1", "h.1.attn.c_attn.weight", "h.1.attn.c_attn.bias"]
