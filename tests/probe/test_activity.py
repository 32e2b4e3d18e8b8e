"""What `measure` sees, against the same numbers computed another way."""

import math
import tracemalloc

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config
from npgpt.params import init_params
from npgpt.probe.activity import PARTS, group_of, measure, norms, update_ratios
from npgpt.probe.entropy import attention_entropy, sink_weight
from npgpt.probe.trace import trace

ACTIVATIONS = ["gelu_new", "gelu", "relu", "leaky_relu", "silu", "swiglu", "identity"]


def small(dtype=np.float64, **changes):
    config = GPT2Config(vocab_size=11, n_positions=6, n_embd=12, n_layer=2, n_head=3, **changes)
    rng = np.random.default_rng(1)
    params = {name: (a + 0.3 * rng.standard_normal(a.shape)).astype(dtype)
              for name, a in init_params(config, 0, np.float64).items()}
    return config, params, *rng.integers(0, 11, (2, 4, 5))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", ["layernorm", "none"])
def test_everything_agrees_with_a_trace_of_all_sequences_at_once(activation, norm):
    config, params, ids, targets = small(activation_function=activation, norm=norm)
    seen = measure(params, config, ids, targets, PARTS)
    whole = trace(params, ids, targets, config)
    for layer in range(2):
        weights = whole.activations[f"h.{layer}.attn.weights"]
        np.testing.assert_allclose(seen.nats[layer], attention_entropy(weights).mean(axis=0))
        np.testing.assert_allclose(seen.sink[layer], sink_weight(weights).mean(axis=0))
        if activation != "swiglu":
            act = whole.activations[f"h.{layer}.mlp.act"]
            assert seen.units[layer].mean == pytest.approx(act.mean())
            assert seen.units[layer].rms == pytest.approx(math.sqrt((act * act).mean()))
            assert seen.units[layer].zeros == (act == 0).mean()
    streams = ["embedding.sum", "h.0.residual_2", "h.1.residual_2"]
    assert seen.stream == pytest.approx(
        [math.sqrt((whole.activations[name] ** 2).mean()) for name in streams])
    assert seen.gradients == pytest.approx(norms(whole.grads))
    assert (seen.nan, seen.inf, seen.first_break, seen.nan_heads) == (0, 0, None, 0)


@pytest.mark.parametrize("activation, branch", [("gelu", "mlp.c_proj"), ("swiglu", "mlp")])
def test_without_residual_connections_the_stream_is_what_each_block_gives(activation, branch):
    config, params, ids, targets = small(activation_function=activation, residual=False)
    whole = trace(params, ids, targets, config).activations
    streams = ["embedding.sum", f"h.0.{branch}", f"h.1.{branch}"]
    assert measure(params, config, ids, targets).stream == pytest.approx(
        [math.sqrt((whole[name] ** 2).mean()) for name in streams])


def test_saturated_units_are_those_without_slope():
    config, params, ids, targets = small(activation_function="relu")
    seen = measure(params, config, ids, targets)
    assert 0 < seen.units[0].saturated == seen.units[0].zeros < 1
    config, params, ids, targets = small(activation_function="gelu")
    wide = {**params, "h.0.mlp.c_fc.bias": np.full(48, -30.0)}
    seen = measure(wide, config, ids, targets)
    assert seen.units[0].saturated == 1 and seen.units[1].saturated < 0.5
    config, params, ids, targets = small(activation_function="leaky_relu", leaky_slope="fixed")
    assert [u.saturated for u in measure(params, config, ids, targets).units] == [0, 0]


def test_a_swiglu_is_seen_by_its_gate():
    config, params, ids, targets = small(activation_function="swiglu")
    params["h.1.mlp.c_gate.weight"][...] = 0.0
    params["h.1.mlp.c_gate.bias"][...] = -40.0
    seen = measure(params, config, ids, targets)
    assert seen.units[1].saturated == 1
    assert seen.units[1].mean == pytest.approx(-40 / (1 + math.exp(40)))


def test_a_model_that_breaks_is_counted_and_its_first_break_named():
    config, params, ids, targets = small(np.float32)
    params["h.1.attn.c_attn.weight"][0, 0] = np.nan     # a query of head 0
    seen = measure(params, config, ids, targets, PARTS)
    assert np.isnan(seen.nats).tolist() == [[False] * 3, [True, False, False]]
    assert seen.nan_heads == 1 and seen.nan > 0
    assert seen.first_break == "h.1.attn.c_attn"
    assert math.isnan(seen.gradients["h.0.attn"])


def test_infinities_are_counted_apart_from_nan():
    config, params, ids, targets = small(np.float32, norm="none", final_norm=False)
    params["h.0.mlp.c_proj.bias"][...] = np.inf
    seen = measure(params, config, ids, targets)
    # the output of the network and the stream after it, in every place; later come NaN
    assert seen.inf >= 2 * ids.size * 12 and seen.nan > 0
    assert seen.first_break == "h.0.mlp.c_proj" and seen.stream[1] == math.inf


def test_without_gradients_the_memory_does_not_grow_with_the_layers():
    peaks = []
    for n_layer in (2, 12):
        config = GPT2Config(vocab_size=11, n_positions=96, n_embd=32, n_layer=n_layer, n_head=4)
        params = init_params(config, 0, np.float64)
        ids = np.zeros((1, 96), dtype=int)
        tracemalloc.start()
        measure(params, config, ids, ids)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_what_was_not_asked_for_is_not_there_and_nothing_changes():
    config, params, ids, targets = small()
    before = {name: array.copy() for name, array in params.items()}
    seen = measure(params, config, ids, targets, ["gradients"])
    assert seen.nats.size == 0 and seen.units == [] and seen.stream == [] and seen.gradients
    assert all((params[name] == array).all() for name, array in before.items())


def test_every_parameter_belongs_to_a_group():
    config, params, *_ = small(activation_function="leaky_relu", leaky_slope="shared",
                               tie_word_embeddings=False, weight_norm=True)
    assert {group_of(name) for name in params} == {
        "wte", "wpe", "h.0.attn", "h.0.mlp", "h.1.attn", "h.1.mlp", "mlp.act", "ln_f", "lm_head"}
    assert group_of("h.0.ln_1.weight") == "h.0.attn" and group_of("h.1.ln_2.bias") == "h.1.mlp"


def test_updates_are_measured_against_what_was_there():
    before = {"wte.weight": np.array([[3.0, 4.0]]), "ln_f.bias": np.zeros(2),
              "wpe.weight": np.zeros((1, 2))}
    after = {"wte.weight": np.array([[3.0, 4.5]]), "ln_f.bias": np.ones(2),
             "wpe.weight": np.zeros((1, 2))}
    ratios = update_ratios(before, after)
    assert ratios["wte"] == 0.1 and ratios["ln_f"] == math.inf and math.isnan(ratios["wpe"])


@pytest.mark.parametrize("parts, rows, says", [
    (["entropie"], 1, "some of entropy, activations, gradients"),
    (PARTS, 0, "N and T")])
def test_mistakes_say_what_would_fit(parts, rows, says):
    config, params, ids, targets = small()
    with pytest.raises(ValueError, match=says):
        measure(params, config, ids[:rows], targets[:rows], parts)


def test_float32_models_are_measured_in_float32_and_summed_in_float64():
    config, params, ids, targets = small()
    model = GPT2(config, {name: a.astype(np.float32) for name, a in params.items()})
    a = measure(model.params, config, ids, targets)
    b = measure(params, config, ids, targets)
    assert a.nats.dtype == np.float64
    np.testing.assert_allclose(a.nats, b.nats, rtol=1e-5)
