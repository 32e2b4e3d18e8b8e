"""The ops of the variants: the textbook's own, for real numbers."""

import numpy as np
import pytest

from npgpt.fast import variants
from npgpt.fast.ops import FAST as fast
from npgpt.layers import attention_entropy, pad_zeros, weight_norm
from npgpt.selfcheck.cases import cases

NAMES = ("weight_norm", "pad_zeros", "entropy_penalty")


@pytest.mark.parametrize("case", [c for c in cases() if c.op_name in NAMES], ids=lambda c: c.label)
def test_complex_numbers_are_refused(case):
    inputs = [a.astype(complex) for a in case.inputs]
    with pytest.raises(TypeError, match="npgpt.ops takes complex numbers"):
        fast.named()[case.op_name].forward(*inputs, **case.settings)


def test_backward_is_the_textbooks():
    for name, layer in zip(NAMES, (weight_norm, pad_zeros, attention_entropy)):
        backward = f"{name}_backward"
        assert getattr(variants, backward) is getattr(layer, backward)
    v, gain = np.random.default_rng(0).standard_normal((2, 3, 3))
    np.testing.assert_array_equal(variants.weight_norm_forward(v, gain[0])[0],
                                  weight_norm.weight_norm_forward(v, gain[0])[0])
