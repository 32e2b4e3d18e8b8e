from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt import GPT2Config
from npgpt.config import ACTIVATIONS, NORMS, SIZES, EntropyPenalty

pytestmark = pytest.mark.smoke


def test_the_defaults_are_gpt_2s_smallest_with_hugging_faces_names():
    config = GPT2Config()
    assert (config.vocab_size, config.n_positions) == (50257, 1024)
    assert (config.n_layer, config.n_head, config.n_embd, config.inner) == (12, 12, 768, 3072)
    assert (config.activation_function, config.layer_norm_epsilon) == ("gelu_new", 1e-5)
    assert (config.resid_pdrop, config.embd_pdrop, config.attn_pdrop) == (0.1, 0.1, 0.1)
    assert config.initializer_range == 0.02 and config.tie_word_embeddings
    assert config == GPT2Config.named("gpt2")


@pytest.mark.parametrize(("name", "layers", "heads", "channels"), [
    ("gpt2", 12, 12, 768), ("gpt2-medium", 24, 16, 1024),
    ("gpt2-large", 36, 20, 1280), ("gpt2-xl", 48, 25, 1600),
])
def test_the_published_sizes_go_by_name(name, layers, heads, channels):
    config = GPT2Config.named(name)
    assert (config.n_layer, config.n_head, config.n_embd) == (layers, heads, channels)
    assert config.head_size == 64


def test_a_published_size_can_be_changed_in_part():
    config = GPT2Config.named("gpt2-xl", n_layer=2, qkv_bias=False)
    assert (config.n_layer, config.n_embd, config.qkv_bias) == (2, 1600, False)


def test_an_unknown_size_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"unknown GPT-2 size 'gpt2-larg' \(did you mean 'gpt2-l"):
        GPT2Config.named("gpt2-larg")
    with pytest.raises(ValueError, match=", ".join(SIZES)):
        GPT2Config.named("llama")


def test_inner_width_follows_the_channels_unless_given():
    assert GPT2Config(n_embd=24).inner == 96
    assert GPT2Config(n_embd=24, n_inner=50).inner == 50


def test_blocks_have_norms_unless_there_are_none():
    assert GPT2Config().block_norm
    assert not GPT2Config(norm="none").block_norm


def test_a_config_cannot_be_changed_only_replaced():
    config = GPT2Config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.n_layer = 3
    assert config.replace(n_layer=3).n_layer == 3 and config.n_layer == 12


@given(st.integers(1, 2000), st.integers(1, 50))
def test_heads_that_do_not_divide_the_channels_are_rejected_with_some_that_do(channels, heads):
    if channels % heads == 0:
        assert GPT2Config(n_embd=channels, n_head=heads).head_size * heads == channels
        return
    with pytest.raises(ValueError) as error:
        GPT2Config(n_embd=channels, n_head=heads)
    text = str(error.value)
    assert f"n_head={heads} does not divide n_embd={channels}" in text
    suggested = [int(n) for n in re.findall(r"\d+", text.split("try")[1])]
    assert suggested and all(channels % n == 0 for n in suggested)


def test_the_suggested_heads_are_near_the_wanted():
    with pytest.raises(ValueError, match="n_head=5 does not divide n_embd=768; try 2, 3, 4, 6"):
        GPT2Config(n_embd=768, n_head=5)


@pytest.mark.parametrize("name", ["vocab_size", "n_positions", "n_embd", "n_layer", "n_head",
                                  "n_inner"])
@pytest.mark.parametrize("wrong", [0, -1, 2.0, True, "8", float("nan")])
def test_a_count_must_be_a_whole_number_of_at_least_1(name, wrong):
    with pytest.raises(ValueError, match=re.escape(f"{name}={wrong!r} must be an integer")):
        GPT2Config(**{name: wrong})


@pytest.mark.parametrize("name", ["resid_pdrop", "embd_pdrop", "attn_pdrop"])
@pytest.mark.parametrize("wrong", [1.0, -0.1, float("nan"), "0.1", True, None])
def test_a_dropout_rate_lies_in_its_range(name, wrong):
    with pytest.raises(ValueError, match=f"{name}="):
        GPT2Config(**{name: wrong})


@pytest.mark.parametrize("name", ["layer_norm_epsilon", "initializer_range"])
@pytest.mark.parametrize("wrong", [0.0, -1e-5, float("inf"), float("nan"), "1e-5", None])
def test_a_small_quantity_must_be_a_positive_number(name, wrong):
    with pytest.raises(ValueError, match=f"{name}=.* must be a"):
        GPT2Config(**{name: wrong})


@pytest.mark.parametrize("wrong", [float("inf"), float("nan"), "0.1", None, True])
def test_a_slope_must_be_a_finite_number(wrong):
    with pytest.raises(ValueError, match="slope_init=.* must be a"):
        GPT2Config(slope_init=wrong)
    assert GPT2Config(slope_init=-2.5).slope_init == -2.5


@pytest.mark.parametrize("name, most", [("entropy_penalty", float("inf")),
                                        ("entropy_tolerance", 1.0), ("entropy_target", 1.0)])
@pytest.mark.parametrize("wrong", [-0.1, float("inf"), float("nan"), "0.1", None, 1.1])
def test_a_penalty_is_not_negative_and_its_fractions_are_fractions(name, most, wrong):
    if wrong == 1.1 and most > 1:
        assert GPT2Config.from_dict({name: wrong}).entropy.penalty == wrong
        return
    with pytest.raises(ValueError, match=f"{name}=.* must be a"):
        GPT2Config.from_dict({name: wrong})


def test_the_entropy_penalty_is_nested_in_python_and_flat_in_files():
    config = GPT2Config(entropy=EntropyPenalty(penalty=0.1, target=0.9))
    assert config.to_dict()["entropy_target"] == 0.9 and "entropy" not in config.to_dict()
    assert GPT2Config.from_dict(config.to_dict()) == config
    assert config.replace(entropy_penalty=0.2).entropy == EntropyPenalty(0.2, 0.2, 0.9)
    assert set(GPT2Config.options()) == set(config.to_dict())
    with pytest.raises(ValueError, match="must be an EntropyPenalty"):
        GPT2Config(entropy=0.1)


@pytest.mark.parametrize("name", ["tie_word_embeddings", "final_norm", "qkv_bias",
                                  "scale_residual_init", "slope_decay", "frozen_biases",
                                  "weight_norm", "residual"])
def test_a_switch_must_be_true_or_false(name):
    with pytest.raises(ValueError, match=f"{name}=1 must be true or false"):
        GPT2Config(**{name: 1})


def test_an_unknown_choice_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"activation_function='gelu_old' is unknown \(did you me"):
        GPT2Config(activation_function="gelu_old")
    with pytest.raises(ValueError, match=", ".join(ACTIVATIONS)):
        GPT2Config(activation_function="tanh")
    with pytest.raises(ValueError, match=", ".join(NORMS)):
        GPT2Config(norm="rmsnorm")
    with pytest.raises(ValueError, match=r"leaky_slope='share' is unknown \(did you mean 'shared'"):
        GPT2Config(leaky_slope="share")


def test_an_unknown_key_is_an_error_that_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"unknown model .* 'n_layers' \(did you mean 'n_layer'"):
        GPT2Config.from_dict({"n_layers": 3})
    with pytest.raises(ValueError, match="did you mean 'n_head'"):
        GPT2Config().replace(n_heads=3)


def test_a_hugging_face_config_is_read_without_its_other_fields():
    values = {"n_layer": 3, "model_type": "gpt2", "summary_type": "cls_index"}
    assert GPT2Config.from_dict(values, ignore_unknown=True) == GPT2Config(n_layer=3)
