from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.low_rank import (
    low_rank_backward,
    low_rank_forward,
    low_rank_update_backward,
    low_rank_update_forward,
)


@given(st.floats(0.1, 10), st.integers(0, 99))
def test_applied_to_activations_or_multiplied_out_an_update_is_the_same(scale, seed):
    rng = np.random.default_rng(seed)
    x, weight = rng.standard_normal((2, 3, 8)), rng.standard_normal((8, 5))
    a, b = rng.standard_normal((8, 2)), rng.standard_normal((2, 5))
    made, _ = low_rank_update_forward(weight, a, b, scale=scale)
    beside, _ = low_rank_forward(x, a, b, scale=scale)
    np.testing.assert_allclose(x @ made, x @ weight + beside, rtol=1e-11, atol=1e-11)


def test_gradients_agree_with_the_numbers(rng):
    x, weight = rng.standard_normal((2, 3, 8)), rng.standard_normal((8, 5))
    a, b = rng.standard_normal((8, 2)), rng.standard_normal((2, 5))
    prove_gradients(low_rank_update_forward, low_rank_update_backward, weight, a, b, scale=0.7)
    prove_gradients(low_rank_forward, low_rank_backward, x, a, b, scale=0.7)
