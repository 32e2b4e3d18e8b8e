from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt import GPT2Config, Tape, model
from npgpt.config import EntropyPenalty
from npgpt.doctor import check_scalar
from npgpt.layers.cross_entropy import IGNORE
from npgpt.ops import TEXTBOOK as ops
from npgpt.params import Params, init_params
from npgpt.selfcheck.cases import ModelCase, model_cases

from .layers.test_attention import one_query_at_a_time
from .layers.test_feed_forward import ACTIVATED

CASES = model_cases()
every_model = pytest.mark.parametrize("case", CASES, ids=[case.label for case in CASES])
IDS = np.array([[3, 1, 3, 10], [0, 7, 7, 2]])
TARGETS = np.array([[1, 3, IGNORE, 4], [7, 7, 2, 0]])


def unit_scale_params(config: GPT2Config, seed: int = 0) -> Params:
    """Biases away from 0 and weights away from 0.02, which would hide mistakes."""
    rng = np.random.default_rng(seed)
    params = init_params(config, dtype=np.float64)
    return {name: 0.5 * rng.standard_normal(a.shape) + (a if a.ndim == 1 else 0.0)
            for name, a in params.items()}


def written_differently(params: Params, ids: np.ndarray, config: GPT2Config) -> np.ndarray:
    """GPT-2's logits for one text (T,), by other formulas than the layers'."""
    def norm(name: str, x: np.ndarray) -> np.ndarray:
        if f"{name}.weight" not in params:
            return x
        spread = np.sqrt((x**2).mean(-1, keepdims=True) - x.mean(-1, keepdims=True) ** 2
                         + config.layer_norm_epsilon)
        return ((x - x.mean(-1, keepdims=True)) / spread * params[f"{name}.weight"]
                + params[f"{name}.bias"])

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        weight, bias = params[f"{name}.weight"], np.zeros(params[f"{name}.weight"].shape[1])
        if config.weight_norm:
            lengths = np.linalg.norm(weight, axis=0)
            weight = np.stack([g * column / length for g, column, length in
                               zip(params[f"{name}.gain"], weight.T, lengths)], axis=1)
        if f"{name}.lora_A" in params:
            weight = weight + 1.5 * np.einsum("ir,ro->io", params[f"{name}.lora_A"],
                                              params[f"{name}.lora_B"])
        given = params.get(f"{name}.bias", bias[:0])
        bias[:len(given)] = given
        return np.einsum("ti,io->to", x, weight) + bias

    x = np.array([params["wte.weight"][i] + params["wpe.weight"][t] for t, i in enumerate(ids)])
    for i in range(config.n_layer):
        qkv = linear(f"h.{i}.attn.c_attn", norm(f"h.{i}.ln_1", x)).reshape(
            len(ids), 3, config.n_head, config.head_size)
        # softmax of q k / sqrt(D): the queries carry any other divisor
        divisor = 1.0 if config.scale_attn_weights else config.head_size ** -0.5
        divisor *= i + 1 if config.scale_attn_by_inverse_layer_idx else 1
        qkv[:, 0] /= divisor
        heads = [one_query_at_a_time(*(qkv[:, part, h] for part in range(3)))
                 for h in range(config.n_head)]
        x = config.residual * x + linear(f"h.{i}.attn.c_proj", np.concatenate(heads, axis=1))
        normed, mlp = norm(f"h.{i}.ln_2", x), f"h.{i}.mlp"
        hidden = linear(f"{mlp}.c_fc", normed)
        if config.activation_function == "swiglu":
            activated = ACTIVATED["silu"](linear(f"{mlp}.c_gate", normed)) * hidden
        elif config.activation_function == "leaky_relu":
            name = "mlp.act.slope" if config.leaky_slope == "shared" else f"{mlp}.act.slope"
            slope = params.get(name, config.slope_init)
            activated = np.maximum(hidden, 0) + slope * np.minimum(hidden, 0)
        else:
            activated = ACTIVATED[config.activation_function](hidden)
        x = config.residual * x + linear(f"{mlp}.c_proj", activated)
    head = "wte.weight" if config.tie_word_embeddings else "lm_head.weight"
    return np.einsum("tc,vc->tv", norm("ln_f", x), params[head])


@pytest.mark.smoke
@every_model
def test_logits_agree_with_the_model_written_differently(case: ModelCase):
    params = unit_scale_params(case.config)
    logits = model.logits(params, case.ids, case.config)
    for got, ids in zip(logits, case.ids, strict=True):
        expected = written_differently(params, ids, case.config)
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-10)


@every_model
def test_gradients_of_whole_models_pass_the_gradient_check(case: ModelCase):
    params = unit_scale_params(case.config)
    tape = Tape()
    watched = tape.watch(params)
    grads = tape.backward(model.training_loss(watched, case.ids, case.targets, case.config))

    def loss(given: dict[str, Any]) -> Any:
        return model.training_loss(given, case.ids, case.targets, case.config)

    named = {name: grads[var] for name, var in watched.items()}
    report = check_scalar(loss, params, named).raise_if_wrong()
    assert len(report.rows) == len(params) and report.worst <= 1e-10


def test_gradients_with_dropout_agree_with_a_complex_step(small_config):
    config = small_config.replace(n_layer=1, resid_pdrop=0.2, embd_pdrop=0.3, attn_pdrop=0.4)
    params = unit_scale_params(config)

    def loss(given: dict[str, Any]) -> Any:
        return model.loss(given, IDS, TARGETS, config, rng=np.random.default_rng(4))

    tape = Tape()
    watched = tape.watch(params)
    grads = tape.backward(loss(watched))
    rng = np.random.default_rng(0)
    for name, array in params.items():
        direction = rng.standard_normal(array.shape)
        slope = loss({**params, name: array + 1e-30j * direction}).imag / 1e-30
        along = (grads[watched[name]] * direction).sum()
        assert along == pytest.approx(slope, rel=1e-11, abs=1e-14), name


def test_the_gradient_of_a_shared_slope_is_the_sum_over_the_layers():
    config = GPT2Config(vocab_size=11, n_positions=5, n_embd=8, n_layer=3, n_head=4,
                        activation_function="leaky_relu", leaky_slope="shared")
    params = unit_scale_params(config)
    slope = params.pop("mlp.act.slope")
    own = {**params, **{f"h.{i}.mlp.act.slope": slope for i in range(3)}}

    def slope_grads(given: Params, config: GPT2Config) -> list[np.ndarray]:
        tape = Tape()
        watched = tape.watch(given)
        grads = tape.backward(model.loss(watched, IDS, TARGETS, config))
        return [grads[var] for name, var in watched.items() if name.endswith("slope")]

    (shared,) = slope_grads({**params, "mlp.act.slope": slope}, config)
    each = slope_grads(own, config.replace(leaky_slope="layer"))
    assert len(each) == 3 and min(abs(g) for g in each) > 1e-6
    np.testing.assert_allclose(shared, sum(each), rtol=1e-12)


def test_the_entropy_penalty_is_in_the_training_loss_alone():
    config = GPT2Config(vocab_size=11, n_positions=5, n_embd=8, n_layer=2, n_head=4,
                        entropy=EntropyPenalty(0.3, tolerance=0.1, target=0.9))
    params = unit_scale_params(config)
    params |= {f"h.{i}.attn.entropy_target": np.array([0.2, 0.9, 0.5, 0.7]) for i in (0, 1)}
    seen: list[np.ndarray] = []

    def attend(layer: int, qkv: Any) -> Any:
        seen.append(ops.attention_entropy(qkv, n_head=4))
        return ops.multi_head_attention(qkv, n_head=4)

    loss = model.loss(params, IDS, TARGETS, config, attend=attend)
    bound = math.log(math.factorial(4)) / 4
    distance = np.array(seen) - np.array([0.2, 0.9, 0.5, 0.7]) * bound
    counted = distance[np.abs(distance) > 0.1 * bound]
    assert 0 < len(counted) < 8
    total = model.training_loss(params, IDS, TARGETS, config)
    assert float(total) == pytest.approx(float(loss) + 0.3 * (counted**2).sum() / 8, rel=1e-12)
    assert model.loss(params, IDS, TARGETS, config) == loss
    without = config.replace(entropy_penalty=0.0)
    assert model.training_loss(params, IDS, TARGETS, without) == loss


def test_the_penalty_and_a_stand_in_for_blocks_are_rejected_together(small_model):
    config = small_model.config.replace(entropy_penalty=0.1)
    with pytest.raises(ValueError, match="does not save; switch one off"):
        model.training_loss(small_model.params, IDS, TARGETS, config, run_block=model.block)


def test_the_key_bias_has_no_gradient_and_its_neighbours_have(small_model):
    _, grads = small_model.loss_and_grads(IDS, TARGETS)
    q, k, v = np.split(grads["h.0.attn.c_attn.bias"], 3)
    assert np.abs(k).max() < 1e-14 and np.abs(q).min() > 1e-9 and np.abs(v).min() > 1e-9


@pytest.mark.smoke
@given(st.integers(0, 2), st.integers(0, 10))
def test_future_tokens_do_not_change_past_outputs(t, other):
    config = GPT2Config(vocab_size=11, n_positions=5, n_embd=8, n_layer=2, n_head=4)
    params = unit_scale_params(config)
    changed = IDS.copy()
    changed[:, t + 1:] = other
    before, after = (model.logits(params, ids, config) for ids in (IDS, changed))
    np.testing.assert_array_equal(before[:, :t + 1], after[:, :t + 1])


def test_texts_of_a_batch_do_not_see_each_other(small_model):
    together = small_model.logits(IDS)
    for text, logits in zip(IDS, together):
        np.testing.assert_allclose(small_model.logits(text), logits, rtol=1e-12)


def test_loss_is_the_cross_entropy_of_the_logits(small_model):
    logits = model.logits(small_model.params, IDS, small_model.config)
    expected = ops.cross_entropy(logits, TARGETS)
    loss = model.loss(small_model.params, IDS, TARGETS, small_model.config)
    assert loss.shape == () and float(loss) == pytest.approx(float(expected), rel=1e-14)


def test_an_untrained_model_knows_nothing_but_the_size_of_the_vocabulary():
    config = GPT2Config(vocab_size=211, n_positions=32, n_embd=48, n_layer=3, n_head=4)
    ids = np.random.default_rng(0).integers(0, 211, (4, 33))
    params = init_params(config)
    loss = model.loss(params, ids[:, :-1], ids[:, 1:], config)
    assert float(loss) == pytest.approx(math.log(211), abs=0.1)


def test_dropout_happens_only_where_a_random_source_is_passed(small_model):
    config, params = small_model.config, small_model.params
    calm = model.loss(params, IDS, TARGETS, config)
    assert calm == model.loss(params, IDS, TARGETS, config)
    first, again, other = (
        model.loss(params, IDS, TARGETS, config, rng=np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert first == again and first != other and first != calm


@pytest.mark.parametrize("place", ["resid_pdrop", "embd_pdrop", "attn_pdrop"])
def test_each_dropout_rate_acts_by_itself(place, small_model):
    off = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    params, rng = small_model.params, np.random.default_rng
    without = small_model.config.replace(**off)
    alone = small_model.config.replace(**{**off, place: 0.5})
    calm = model.loss(params, IDS, TARGETS, without)
    assert model.loss(params, IDS, TARGETS, without, rng=rng(1)) == calm
    assert model.loss(params, IDS, TARGETS, alone, rng=rng(1)) != calm


def test_arrays_in_give_the_value_that_vars_in_record(small_model):
    tape = Tape()
    recorded = model.loss(tape.watch(small_model.params), IDS, TARGETS, small_model.config)
    plain = model.loss(small_model.params, IDS, TARGETS, small_model.config)
    assert isinstance(plain, np.ndarray) and recorded.value == plain
    names = [entry.op.name for entry in tape.entries]
    assert names[0] == "token_embedding" and names[-1] == "linear_cross_entropy"
    assert names.count("multi_head_attention") == 2 and "dropout" not in names


def test_the_attention_used_is_the_one_handed_in(small_model):
    seen = []

    def attend(layer: int, qkv: Any) -> Any:
        seen.append((layer, qkv.shape))
        return qkv[..., :8]

    config = small_model.config
    own = model.hidden(small_model.params, IDS, config, attend=attend)
    assert seen == [(0, (2, 4, 24)), (1, (2, 4, 24))]
    assert (own != model.hidden(small_model.params, IDS, config)).any()


def test_positions_count_from_0_unless_given(small_model):
    config, params = small_model.config, small_model.params
    usual = model.hidden(params, IDS, config)
    same = model.hidden(params, IDS, config, positions=np.arange(4))
    np.testing.assert_array_equal(usual, same)
    shifted = model.hidden(params, IDS, config, positions=np.arange(1, 5))
    assert (shifted != usual).all()
    moved = {**params, "wpe.weight": np.roll(params["wpe.weight"], -1, axis=0)}
    np.testing.assert_array_equal(shifted, model.hidden(moved, IDS, config))


@every_model
def test_single_precision_stays_single_everywhere(case: ModelCase):
    params = {name: a.astype(np.float32) for name, a in unit_scale_params(case.config).items()}
    tape = Tape()
    watched = tape.watch(params)
    loss = model.loss(watched, case.ids, case.targets, case.config,
                      rng=np.random.default_rng(0))
    dtypes = []
    grads = tape.backward(loss, on_gradient=lambda entry, dout: dtypes.append(dout.dtype))
    assert loss.value.dtype == np.float32
    assert {*dtypes, *(g.dtype for g in grads.values())} == {np.dtype(np.float32)}


def test_every_parameter_gets_a_gradient(small_model):
    _, grads = small_model.loss_and_grads(IDS, TARGETS)
    assert [name for name, grad in grads.items() if not grad.any()] == []
