from __future__ import annotations

import math

import numpy as np
import pytest

from npgpt import GPT2Config
from npgpt.ids import check_dtype
from npgpt.params import check_params, init_params, parameter_shapes

pytestmark = pytest.mark.smoke

SMALL = GPT2Config(vocab_size=11, n_positions=5, n_embd=8, n_layer=2, n_head=4)


def test_names_and_shapes_are_those_of_gpt_2s_checkpoints():
    shapes = parameter_shapes(SMALL.replace(n_layer=1))
    assert shapes == {
        "wte.weight": (11, 8), "wpe.weight": (5, 8),
        "h.0.ln_1.weight": (8,), "h.0.ln_1.bias": (8,),
        "h.0.attn.c_attn.weight": (8, 24), "h.0.attn.c_attn.bias": (24,),
        "h.0.attn.c_proj.weight": (8, 8), "h.0.attn.c_proj.bias": (8,),
        "h.0.ln_2.weight": (8,), "h.0.ln_2.bias": (8,),
        "h.0.mlp.c_fc.weight": (8, 32), "h.0.mlp.c_fc.bias": (32,),
        "h.0.mlp.c_proj.weight": (32, 8), "h.0.mlp.c_proj.bias": (8,),
        "ln_f.weight": (8,), "ln_f.bias": (8,),
    }


@pytest.mark.parametrize(("change", "gone", "new"), [
    ({"qkv_bias": False}, {"h.0.attn.c_attn.bias"}, {}),
    ({"tie_word_embeddings": False}, set(), {"lm_head.weight": (11, 8)}),
    ({"final_norm": False}, {"ln_f.weight", "ln_f.bias"}, {}),
    ({"norm": "none"},
     {f"h.0.ln_{i}.{part}" for i in (1, 2) for part in ("weight", "bias")}, {}),
    ({"activation_function": "leaky_relu"}, set(), {"h.0.mlp.act.slope": (1,)}),
    ({"activation_function": "leaky_relu", "leaky_slope": "shared"}, set(),
     {"mlp.act.slope": (1,)}),
    ({"activation_function": "leaky_relu", "leaky_slope": "fixed"}, set(), {}),
    ({"activation_function": "identity"}, set(), {}),
    ({"frozen_biases": True, "qkv_bias": False},
     {f"h.0.{part}.bias" for part in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")}, {}),
    ({"weight_norm": True}, set(),
     {"h.0.attn.c_attn.gain": (24,), "h.0.attn.c_proj.gain": (8,), "h.0.mlp.c_fc.gain": (32,),
      "h.0.mlp.c_proj.gain": (8,)}),
    ({"entropy_penalty": 1e-5}, set(), {"h.0.attn.entropy_target": (4,)}),
    ({"activation_function": "swiglu"}, set(),
     {"h.0.mlp.c_gate.weight": (8, 32), "h.0.mlp.c_gate.bias": (32,)}),
])
def test_a_choice_adds_or_removes_its_own_parameters(change, gone, new):
    before = parameter_shapes(SMALL.replace(n_layer=1))
    after = parameter_shapes(SMALL.replace(n_layer=1, **change))
    assert set(before) - set(after) == gone
    assert {name: after[name] for name in set(after) - set(before)} == new


def test_frozen_biases_leave_those_of_queries_and_keys():
    biases = {name: shape for name, shape in
              parameter_shapes(SMALL.replace(n_layer=1, frozen_biases=True)).items()
              if name.endswith(".bias") and "ln_" not in name}
    assert biases == {"h.0.attn.c_attn.bias": (16,)}


def test_initial_weights_are_normal_with_the_ranges_standard_deviation():
    config = GPT2Config(vocab_size=500, n_positions=200, n_embd=64, n_layer=8, n_head=4,
                        initializer_range=0.05, tie_word_embeddings=False)
    params = init_params(config, seed=3, dtype=np.float64)
    for name, array in params.items():
        if array.ndim == 2:
            std = 0.05 / 4 if name.endswith("c_proj.weight") else 0.05      # sqrt(2 * 8) = 4
            assert abs(array.std() / std - 1) < 5 / math.sqrt(2 * array.size), name
            assert abs(array.mean()) < 5 * std / math.sqrt(array.size), name
        elif name.endswith(".bias"):
            assert (array == 0).all()
        else:
            assert "ln_" in name and (array == 1).all()


def test_residual_scaling_can_be_switched_off():
    scaled, plain = (
        init_params(SMALL.replace(scale_residual_init=on), dtype=np.float64)
        for on in (True, False)
    )
    for name in scaled:
        factor = 2.0 if name.endswith("c_proj.weight") else 1.0     # sqrt(2 * 2)
        np.testing.assert_allclose(plain[name], factor * scaled[name], rtol=1e-15)


def test_a_leaky_relu_starts_with_a_small_slope():
    params = init_params(SMALL.replace(activation_function="leaky_relu"))
    assert params["h.1.mlp.act.slope"] == np.float32(0.01)


def test_the_targets_of_the_entropy_start_as_told():
    params = init_params(SMALL.replace(entropy_penalty=1e-5, entropy_target=0.3))
    np.testing.assert_array_equal(params["h.1.attn.entropy_target"], np.full(4, 0.3, np.float32))


def test_one_seed_gives_the_same_numbers_in_either_precision_and_another_seed_others():
    single, double, other = (
        init_params(SMALL, seed, dtype)
        for seed, dtype in ((5, np.float32), (5, np.float64), (6, np.float32))
    )
    for name in parameter_shapes(SMALL):
        assert single[name].dtype == np.float32 and double[name].dtype == np.float64
        np.testing.assert_array_equal(single[name], double[name].astype(np.float32))
    assert (single["wte.weight"] != other["wte.weight"]).any()


def test_a_table_drawn_in_several_runs_of_rows_equals_one_drawn_at_once():
    config = SMALL.replace(vocab_size=300_000)          # 2.4 million numbers: three runs
    table = init_params(config, seed=2, dtype=np.float64)["wte.weight"]
    expected = np.random.default_rng(2).standard_normal(table.shape) * 0.02
    np.testing.assert_array_equal(table, expected)


def test_parameters_that_fit_have_no_problems():
    check_params(SMALL, init_params(SMALL))


def test_all_that_does_not_fit_is_named_at_once():
    params = init_params(SMALL)
    del params["wpe.weight"]
    params["lm_head.weight"] = params["wte.weight"]
    params["ln_f.bias"] = np.zeros(9, np.float32)
    with pytest.raises(ValueError) as caught:
        check_params(SMALL, params)
    assert str(caught.value) == (
        "parameters do not match the config: wpe.weight is missing; lm_head.weight is not a "
        "parameter of this config; ln_f.bias has shape (9,), the config needs (8,)")
    del params["ln_f.bias"]
    with pytest.raises(ValueError, match="config: wpe.weight is missing; ln_f.bias is missing$"):
        check_params(SMALL, params, others=True)


@pytest.mark.parametrize("seed", [-1, 1.5, "x"])
def test_a_seed_that_is_none_is_rejected_with_what_fits(seed):
    with pytest.raises(ValueError, match=f"seed={seed!r} must be an integer of at least 0"):
        init_params(SMALL, seed)


@pytest.mark.parametrize("dtype", ["float32", np.float64, np.dtype("f4"), "f8"])
def test_single_and_double_precision_go_by_any_of_their_names(dtype):
    assert check_dtype(dtype) == np.dtype(dtype)


@pytest.mark.parametrize("dtype", ["float16", np.int32, np.complex128, "bfloat16", "much"])
def test_any_other_dtype_is_rejected_with_those_that_fit(dtype):
    with pytest.raises(ValueError, match="expected float32 or float64"):
        init_params(SMALL, dtype=dtype)
