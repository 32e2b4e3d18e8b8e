"""How linear is graded."""

import functools

import numpy as np

from npgpt.doctor import Program


def _gradients(x, weight, dout, wrong=None):
    """dx, dweight and dbias, with one mistake made."""
    places = (0, 1)
    dweight = np.einsum("bti,bto->io", x, dout)
    if wrong == "sums":
        dweight = np.outer(x.sum(places), dout.sum(places))
    if wrong == "mean of x":
        dweight = np.outer(x.mean(places), dout.sum(places))
    return {"dx": dout @ weight.T, "dweight": dweight, "dbias": dout.sum(places)}


SUMS = ("x and dout are summed over the positions first and multiplied then: a product of sums is "
        "not the sum of the products, so multiply at each position and sum the result")
BACKWARD = Program("linear", _gradients, [
    ("summed-too-soon", functools.partial(_gradients, wrong="sums"), SUMS),
    ("summed-too-soon", functools.partial(_gradients, wrong="mean of x"), SUMS),
])


def grade(mine, g):
    """The forward, then the gradients with sizes that all differ, and with one sequence."""
    x, weight, bias = g.normal(2, 4, 3), g.normal(3, 5), g.normal(5)
    g.values("linear", mine.linear_forward, x, weight, bias, axes="B T O")

    @functools.wraps(mine.linear_backward)
    def gradients(x, weight, dout):
        given = mine.linear_backward(dout, mine.linear_forward(x, weight, bias)[1])
        return dict(zip(("dx", "dweight", "dbias"), given, strict=False))

    found = len(g.findings)
    g.known(BACKWARD, gradients, x, weight, g.normal(2, 4, 5))
    if len(g.findings) == found:    # the doctor would say it again under another name
        g.gradient(mine.linear_forward, mine.linear_backward, x, weight, bias)
        # in and out of one length, where a wrong transposition has the right shape
        g.gradient(mine.linear_forward, mine.linear_backward, x, g.normal(3, 3), g.normal(3))
    for b, t in ((1, 4), (2, 1)):
        g.gradient(mine.linear_forward, mine.linear_backward, g.normal(b, t, 3), weight, bias)


def after():
    """What forward and backward cost."""
    from npgpt.config import GPT2Config
    from npgpt.params import parameter_shapes

    shapes = parameter_shapes(GPT2Config.named("gpt2"))
    block = [shape for name, shape in shapes.items() if name.startswith("h.0.") and len(shape) == 2]
    weights = sum(a * b for a, b in block)
    return (f"One block of GPT-2 has {len(block)} linear layers with {weights:,} weights. The "
            "forward is one matmul, the backward two of the same size, one for dx and one for "
            "dweight: hence the rule that a training step costs three forwards, or "
            f"{3 * 2 * weights:,} operations for each token and block.")
