import numpy as np
import pytest

from npgpt.doctor import check
from npgpt.doctor.evidence.numeric import rounding_noise, ways
from npgpt.gradcheck.numeric import EPSILON
from npgpt.layers.cross_entropy import cross_entropy_backward, cross_entropy_forward
from npgpt.layers.gelu import gelu_backward, gelu_forward

pytestmark = pytest.mark.smoke


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def trusted(f, x, rng):
    return ways(f, x, rng)[0]


def rng():
    return np.random.default_rng(0)


def test_the_noise_sees_rounding_that_the_size_of_the_values_hides():
    x = np.linspace(-15, -14, 9)

    def tail(x):
        return 1 + np.tanh(x)  # 2e-13, but rounded like a number near 1

    assert np.median(rounding_noise(tail, x, rng())[0]) > 1e-17
    assert rounding_noise(lambda x: np.exp(2 * x), x, rng())[0].max() < 1e-20


@pytest.mark.parametrize("kind, epsilon", [(np.float32, 2**-24), (np.float16, 2**-11)])
@pytest.mark.parametrize("f", [
    lambda x, kind: np.sin(x.astype(kind)),
    lambda x, kind: float(np.mean(np.square(x.astype(kind)))),
    lambda x, kind: np.maximum(x.astype(kind), 0),
])
def test_a_function_in_few_digits_is_recognised(f, kind, epsilon):
    method = trusted(lambda x: f(np.real(x), kind), normal(0, 5), rng())
    assert method.coarse and method.epsilon == pytest.approx(epsilon, rel=0.5)
    assert np.dtype(kind).name in method.why


def test_a_function_that_is_made_float64_again_is_recognised_by_its_noise():
    method = trusted(
        lambda x: np.sin(np.real(x).astype(np.float32)).astype(float) / 3, normal(0, 5), rng())
    assert method.coarse and "float32" in method.why


@pytest.mark.parametrize("f", [
    np.abs, lambda x: np.sqrt(np.abs(x)), np.sign, np.round, lambda x: np.zeros(3),
    lambda x: np.array([1.0]), lambda x: 1 / (x + 5), lambda x: np.abs(x) ** 1.5,
    lambda x: 1 + np.tanh(x - 20),
])
def test_float64_is_not_taken_for_less_on_or_off_a_kink(f):
    for x in (normal(0, 6), np.array([0.0, 0.5, 1.0, -2.0, 1e-7]), np.zeros(4)):
        assert rounding_noise(f, x, rng())[1] == EPSILON


@pytest.mark.parametrize("k", [5, 15, 18.47, 20, 25, 30])
def test_a_right_gradient_that_is_nearly_all_rounding_is_not_called_wrong(k):
    logits, targets = np.array([[k, -k / 2], [k / 3, -k]]), np.zeros(2, int)
    found = check(cross_entropy_forward, cross_entropy_backward, logits, targets).kinds
    assert found in ([], ["undecided"])
    assert check(gelu_forward, gelu_backward, np.array([-k, -k / 3])).kinds in ([], ["undecided"])
    assert check(gelu_forward, gelu_backward, np.array([-k / 3])).kinds in ([], ["undecided"])


@pytest.mark.parametrize("k", [-3.0, -4.5])
def test_a_small_gradient_is_still_called_wrong(k):
    def backward(dout, cache):
        return (0.5 * gelu_backward(dout, cache)[0],)

    assert check(gelu_forward, backward, np.array([k])).kinds == ["factor"]
