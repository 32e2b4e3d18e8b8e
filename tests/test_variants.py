"""Every reparametrisation computes what plain GPT-2 computes with the weights multiplied out."""

from __future__ import annotations

import numpy as np
import pytest

from npgpt import GPT2Config, model
from npgpt.ops import TEXTBOOK
from npgpt.params import init_params
from npgpt.variants import EXTRA, plain, settings

SMALL = GPT2Config(vocab_size=11, n_positions=5, n_embd=8, n_layer=2, n_head=4)


def test_weight_norm_changes_nothing_at_first():
    before, normed = (init_params(SMALL.replace(weight_norm=on), 3, np.float64)
                      for on in (False, True))
    for name, array in plain(normed, SMALL.replace(weight_norm=True), TEXTBOOK).items():
        np.testing.assert_allclose(array, before[name], rtol=1e-14)


def test_a_low_rank_update_changes_nothing_at_first_and_then_adds_its_product():
    config = SMALL.replace(lora_rank=3)
    params = init_params(config, 3, np.float64)
    for name, array in plain(params, config, TEXTBOOK).items():
        np.testing.assert_array_equal(array, params[name])
    rng = np.random.default_rng(0)
    params["h.1.mlp.c_fc.lora_B"] = rng.standard_normal((3, SMALL.inner))
    made = plain(params, config, TEXTBOOK)["h.1.mlp.c_fc.weight"]
    update = params["h.1.mlp.c_fc.lora_A"] @ params["h.1.mlp.c_fc.lora_B"]
    np.testing.assert_allclose(made, params["h.1.mlp.c_fc.weight"] + update, rtol=1e-14)


def test_the_order_of_the_parameters_does_not_matter():
    config = SMALL.replace(lora_rank=3, weight_norm=True)
    rng = np.random.default_rng(0)
    params = {name: a + rng.standard_normal(a.shape)
              for name, a in init_params(config, 3, np.float64).items()}
    made, again = (plain(dict(items), config, TEXTBOOK)
                   for items in (params.items(), reversed(params.items())))
    for name, array in made.items():
        np.testing.assert_array_equal(again[name], array)


def test_plain_parameters_come_back_as_they_are():
    params = init_params(SMALL)
    assert plain(params, SMALL, TEXTBOOK) is params


@pytest.mark.parametrize("change", [
    {"weight_norm": True}, {"frozen_biases": True}, {"entropy_penalty": 1.0},
    {"lora_rank": 3},
    {"weight_norm": True, "lora_rank": 1},
    {"activation_function": "leaky_relu", "leaky_slope": "shared"},
    {"activation_function": "leaky_relu", "leaky_slope": "fixed"},
])
def test_a_model_multiplied_out_computes_the_same_and_is_so_for_good(change):
    config = SMALL.replace(**change)
    rng = np.random.default_rng(0)
    params = {name: a + 0.5 * rng.standard_normal(a.shape)
              for name, a in init_params(config, dtype=np.float64).items()}
    made = plain(params, config, TEXTBOOK)
    assert not any(name.rpartition(".")[2] in EXTRA for name in made)
    assert made["h.1.attn.c_attn.bias"].shape == (24,)
    ids = np.array([[1, 2, 3, 1]])
    np.testing.assert_allclose(
        model.logits(made, ids, config), model.logits(params, ids, config), rtol=1e-12)
    again = plain(made, config, TEXTBOOK)
    assert again.keys() == made.keys() and all(again[name] is made[name] for name in made)


def test_without_residual_connections_a_block_gives_its_last_branch_alone():
    config = SMALL.replace(residual=False)
    rng = np.random.default_rng(0)
    params = {name: a + 0.5 * rng.standard_normal(a.shape)
              for name, a in init_params(config, dtype=np.float64).items()}
    # a last branch of zeros leaves nothing of what came before
    for layer in range(2):
        params[f"h.{layer}.mlp.c_proj.weight"][...] = 0.0
    ids = np.array([[1, 2, 3, 1], [4, 4, 0, 2]])
    logits = model.logits(params, ids, config)
    np.testing.assert_allclose(logits, np.broadcast_to(logits[0, 0], logits.shape))
    assert np.ptp(model.logits(params, ids, SMALL)[..., 0]) > 0.1


def test_every_setting_is_gpt2s_own_or_a_variants():
    own = [name for name in GPT2Config.options() if name not in settings()]
    assert own[-1] == "scale_attn_by_inverse_layer_idx" and "n_embd" in own
    assert {"norm", "weight_norm", "lora_rank", "entropy_penalty"} <= set(settings())
