from __future__ import annotations

import numpy as np

from npgpt.gradcheck.proof import prove_gradients
from npgpt.layers.identity import identity_backward, identity_forward


def test_nothing_happens_on_the_way_there_or_back(rng):
    x, dout = rng.standard_normal((2, 2, 3, 5))
    out, cache = identity_forward(x)
    np.testing.assert_array_equal(out, x)
    np.testing.assert_array_equal(identity_backward(dout, cache)[0], dout)


def test_gradient_agrees_with_the_numbers(rng):
    prove_gradients(identity_forward, identity_backward, rng.standard_normal((2, 3, 5)))
