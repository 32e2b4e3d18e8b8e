"""The trace: the same numbers as the model, and a name for every step."""

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config
from npgpt.cases import model_cases
from npgpt.packs import trace

from . import port


@pytest.mark.parametrize("case", model_cases(), ids=lambda case: case.label)
def test_a_trace_has_the_models_loss_and_gradients(case):
    model = GPT2.init(case.config, 0, np.float64)
    loss, grads = model.loss_and_grads(case.ids, case.targets)
    traced = trace(model.params, case.ids, case.targets, case.config)
    assert float(traced.activations["loss"]) == pytest.approx(loss, rel=1e-12)
    assert traced.grads.keys() == model.params.keys()
    for name, grad in grads.items():
        np.testing.assert_allclose(traced.grads[name], grad, atol=1e-12)
    assert set(traced.dactivations) <= set(traced.activations)
    for name, d in traced.dactivations.items():
        assert d.shape == traced.activations[name].shape


def test_every_activation_equals_an_independent_ports_and_comes_in_its_order():
    config = GPT2Config(vocab_size=11, n_positions=6, n_embd=12, n_layer=2, n_head=3)
    model = GPT2.init(config, 0, np.float64)
    rng = np.random.default_rng(1)
    params = {name: a + 0.3 * rng.standard_normal(a.shape) for name, a in model.params.items()}
    ids, targets = rng.integers(0, 11, (2, 2, 5))
    theirs = port.run(params, ids, targets, config.to_dict())
    ours = trace(params, ids, targets, config).activations
    assert list(ours) == list(theirs)
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, rtol=1e-10, atol=1e-12, err_msg=name)
