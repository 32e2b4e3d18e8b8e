from __future__ import annotations

import numpy as np
import pytest

from npgpt import model as _model
from npgpt.book import GPT_CONFIG_124M, TorchGenerator, gpt2
from npgpt.book.initialise import gpt2_config
from npgpt.budget import budget

from .golden import assert_same, golden

TINY = golden()["initial"][0]["cfg"]


@pytest.mark.parametrize("case", golden()["initial"], ids=["no qkv bias", "qkv bias"])
def test_every_parameter_and_the_scores_with_dropout_are_pytorchs(case):
    rng = TorchGenerator(123)
    model = gpt2(case["cfg"], rng)
    assert set(model.params) == set(case["params"])
    for name, expected in case["params"].items():
        assert_same(model.params[name], expected, name)
    ids = np.arange(14).reshape(2, 7)
    scores = _model.logits(model.params, ids, model.config, rng=rng)
    np.testing.assert_allclose(scores, case["logits"], rtol=0, atol=5e-6)


def test_a_seed_and_a_generator_of_that_seed_give_the_same_model():
    by_seed, by_generator = gpt2(TINY, 5), gpt2(TINY, TorchGenerator(5))
    for name, array in by_seed.params.items():
        np.testing.assert_array_equal(array, by_generator.params[name])


def test_float64_parameters_have_the_layout_of_the_config():
    model = gpt2(TINY, 5, dtype=np.float64)
    assert {array.dtype for array in model.params.values()} == {np.dtype(np.float64)}
    assert all(array.flags.c_contiguous for array in model.params.values())


def test_the_config_counts_the_parameters_that_the_book_counts():
    assert budget(gpt2_config(GPT_CONFIG_124M)).parameters == 163_009_536


def test_missing_and_unknown_keys_are_all_named():
    cfg = {**GPT_CONFIG_124M, "ctx_len": 1024}
    del cfg["context_length"], cfg["drop_rate"]
    with pytest.raises(ValueError) as error:
        gpt2_config(cfg)
    for part in ("'context_length' is missing", "'drop_rate' is missing", "'ctx_len' is unknown"):
        assert part in str(error.value)
