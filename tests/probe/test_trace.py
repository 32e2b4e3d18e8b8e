"""The trace: the same numbers as the model, and a name for every step."""

from dataclasses import replace

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config
from npgpt.ops import TEXTBOOK
from npgpt.probe.trace import first_break, record, trace
from npgpt.selfcheck.cases import model_cases
from npgpt.tape import TapeError

from ..packs import port

pytestmark = pytest.mark.smoke


@pytest.mark.parametrize("case", model_cases(), ids=lambda case: case.label)
def test_a_trace_has_the_models_loss_and_gradients(case):
    # a trace is of the cross-entropy alone
    model = GPT2.init(case.config, 0, np.float64)
    model.config = case.config.replace(entropy_penalty=0.0)
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


VARIANTS = [
    {"activation_function": "identity"},
    {"activation_function": "leaky_relu", "leaky_slope": "shared"},
    {"activation_function": "leaky_relu", "leaky_slope": "fixed"},
    {"frozen_biases": True, "norm": "none"},
    {"residual": False}, {"residual": False, "activation_function": "swiglu"},
    {"weight_norm": True, "activation_function": "swiglu"},
    {"weight_norm": True, "frozen_biases": True, "lora_rank": 2},
]


def small(**changes):
    config = GPT2Config(vocab_size=11, n_positions=6, n_embd=12, n_layer=2, n_head=3)
    config = config.replace(**changes)
    rng = np.random.default_rng(1)
    params = {name: a + 0.3 * rng.standard_normal(a.shape)
              for name, a in GPT2.init(config, 0, np.float64).params.items()}
    return config, params, *rng.integers(0, 11, (2, 2, 5))


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_every_variant_is_traced_with_the_models_gradients(changes):
    config, params, ids, targets = small(**changes)
    loss, grads = GPT2(config, params).loss_and_grads(ids, targets)
    traced = trace(params, ids, targets, config)
    assert float(traced.activations["loss"]) == pytest.approx(loss, rel=1e-10)
    assert traced.grads.keys() == params.keys()
    for name, grad in grads.items():
        np.testing.assert_allclose(traced.grads[name], grad, atol=1e-9)


def test_no_two_steps_of_a_pass_have_one_name():
    config, params, ids, targets = small(weight_norm=True, frozen_biases=True)
    names = list(record(params, ids, targets, config).names.values())
    assert len(set(names)) == len(names)
    assert "h.0.attn.c_attn.weight_norm" in names and "h.1.attn.c_attn.pad_zeros" in names


@pytest.mark.parametrize("changes", [{}, {"weight_norm": True, "frozen_biases": True}])
def test_a_pass_that_keeps_nothing_shows_the_same_steps(changes):
    config, params, ids, targets = small(**changes)
    passes = []
    for keep in (True, False):
        steps = []
        recording = record(params, ids, targets, config, steps.append, keep=keep)
        assert [step.name for step in steps] == list(recording.names.values())
        passes.append(steps)
    for kept, shown in zip(*passes, strict=True):
        assert kept.name == shown.name
        np.testing.assert_array_equal(kept.out, shown.out)
    with pytest.raises(TapeError, match="keeps no entries"):
        recording.tape.backward(recording.loss)


def test_the_first_break_is_named_in_the_order_of_execution():
    config, params, ids, targets = small()
    assert first_break(params, ids, targets, config) is None
    params["h.1.mlp.c_fc.weight"][2, 3] = np.inf
    assert first_break(params, ids, targets, config) == "h.1.mlp.c_fc"
    # one row only: a row of tokens that the bad one is not among stays finite
    params["wpe.weight"][4] = np.nan
    params["wte.weight"][ids[1, 0]] = np.nan
    assert first_break(params, ids, targets, config) == "embedding.token"


def test_a_break_on_the_way_back_is_reported_as_such():
    config, params, ids, targets = small(norm="none", final_norm=False)
    params = {name: a.astype(np.float32) for name, a in params.items()}
    # zeros on the way forward: only the gradient meets the huge matrix
    params["h.1.mlp.c_fc.weight"][...] = 0.0
    params["h.1.mlp.c_fc.bias"][...] = 0.0
    params["h.1.mlp.c_proj.weight"][...] = 3e38
    params["wte.weight"] *= 100.0
    assert first_break(params, ids, targets, config) == "the gradient of h.1.mlp.act"


def test_the_first_break_of_other_ops_is_theirs():
    config, params, ids, targets = small()

    def broken(x):
        return np.full_like(x, np.nan), None

    ops = replace(TEXTBOOK, gelu=replace(TEXTBOOK.gelu, forward=broken,
                                         backward=lambda dout, cache: (dout,)))
    assert first_break(params, ids, targets, config, ops) == "h.0.mlp.act"
