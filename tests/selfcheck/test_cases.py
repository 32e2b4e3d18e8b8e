from __future__ import annotations

import numpy as np
import pytest

from npgpt.config import ACTIVATIONS, SLOPES
from npgpt.layers.cross_entropy import IGNORE
from npgpt.ops import TEXTBOOK as ops
from npgpt.selfcheck.cases import FixedUniform, cases, model_cases

# ops of parameters or of heads alone: what they take or give has no batch axis
WITHOUT_BATCH = (
    "weight_norm", "low_rank_update", "pad_zeros", "attention_entropy", "entropy_penalty")


def test_every_op_has_a_case_and_every_case_an_op():
    assert {case.op_name for case in cases()} == set(ops.named())


def test_labels_are_all_different():
    for labels in ([c.label for c in cases()], [c.label for c in model_cases()]):
        assert len(set(labels)) == len(labels)


def test_every_activation_is_covered_in_ops_and_in_models():
    used = {c.settings.get("activation") for c in cases()} | {
        c.op_name for c in cases() if c.op_name == "swiglu"}
    assert used >= set(ACTIVATIONS)
    assert {c.config.activation_function for c in model_cases()} == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ["linear", "feed_forward", "swiglu"])
def test_biases_are_given_and_left_out(name):
    left_out = {any(a is None for a in c.inputs) for c in cases() if c.op_name == name}
    assert left_out == {True, False}


@pytest.mark.parametrize("name", ["causal_attention", "multi_head_attention", "dropout"])
def test_dropout_is_on_and_off(name):
    rates = {c.settings.get("rate", 0.0) > 0 for c in cases() if c.op_name == name}
    assert rates == {True, False}


@pytest.mark.parametrize("name", ["token_embedding", "cross_entropy"])
def test_tokens_repeat(name):
    for seed in range(20):
        for case in cases(seed):
            if case.op_name == name:
                (ids,) = (a for a in case.inputs if a.dtype.kind == "i")
                assert len(np.unique(ids)) < ids.size


def test_models_are_tied_and_untied_with_and_without_norms_and_biases_and_ignore_a_target():
    configs = [case.config for case in model_cases()]
    assert {c.tie_word_embeddings for c in configs} == {True, False}
    assert {(c.norm, c.final_norm) for c in configs} == {
        ("layernorm", True), ("layernorm", False), ("none", True), ("none", False)}
    assert {c.qkv_bias for c in configs} == {True, False}
    assert any(c.inner == 4 * c.n_embd for c in configs) and any(c.n_layer > 1 for c in configs)
    for case in model_cases():
        assert (case.targets == IGNORE).sum() == 1
        assert case.ids.min() >= 0 and case.ids.max() < case.config.vocab_size


def test_every_variant_has_a_model():
    configs = [case.config for case in model_cases()]
    for name in ("frozen_biases", "weight_norm", "residual"):
        assert {getattr(c, name) for c in configs} == {True, False}
    slopes = {c.leaky_slope for c in configs if c.activation_function == "leaky_relu"}
    assert slopes == set(SLOPES)
    assert {c.entropy.penalty > 0 for c in configs} == {True, False}
    assert {c.lora_rank > 0 for c in configs} == {True, False}


def test_one_seed_gives_one_table_and_another_seed_another():
    first, again, other = cases(1), cases(1), cases(2)
    for a, b in zip(first, again, strict=True):
        for x, y in zip(a.inputs, b.inputs, strict=True):
            np.testing.assert_array_equal(x, y)
    assert (first[0].inputs[0] != other[0].inputs[0]).any()


def test_arrays_come_in_the_dtype_and_batch_asked_for():
    for case in cases(dtype=np.float32, batch=6):
        for array in case.inputs:
            assert array is None or array.dtype in (np.float32, np.int64)
        if case.op_name not in WITHOUT_BATCH or case.op_name == "attention_entropy":
            assert next(a for a in case.inputs if a is not None).shape[0] == 6


def test_relus_are_kept_off_their_kink():
    for seed in range(20):
        for case in cases(seed):
            if case.op_name in ("relu", "leaky_relu"):
                assert np.abs(case.inputs[0]).min() >= 0.1


def test_a_fixed_source_draws_the_same_every_time_and_uniformly():
    source = FixedUniform(3)
    first = source.random((50, 40))
    np.testing.assert_array_equal(first, source.random((50, 40)))
    assert (first != FixedUniform(4).random((50, 40))).any()
    assert 0 <= first.min() and first.max() < 1 and abs(first.mean() - 0.5) < 0.05
