from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from npgpt import GPT2Config
from npgpt.params import Params, init_params

SMALL = GPT2Config(n_layer=2, n_head=2, n_embd=6, vocab_size=13, n_positions=5)


def filled(config: GPT2Config, seed: int = 0, dtype: Any = np.float32) -> Params:
    """Parameters of which no two are alike, biases and norms included."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.standard_normal(array.shape).astype(dtype)
        for name, array in init_params(config).items()
    }


def assert_equal(given: Params, expected: Params) -> None:
    assert list(given) == list(expected)
    for name, array in expected.items():
        assert given[name].dtype == array.dtype, name
        np.testing.assert_array_equal(given[name], array, err_msg=name)


@pytest.fixture
def config() -> GPT2Config:
    return SMALL


@pytest.fixture
def params() -> Params:
    return filled(SMALL)
