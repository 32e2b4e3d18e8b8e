"""How LayerNorm is graded."""

import numpy as np


def grade(mine, g):
    """The forward with two sizes of eps, then both gradients."""
    forward = mine.layernorm_forward
    x, weight, bias = g.normal(2, 3, 5) + 0.5, 1 + 0.5 * g.normal(5), g.normal(5)
    for eps in (1e-5, 0.1):
        g.values("layernorm", forward, x, weight, bias, eps=eps, axes="B T C")
    for backward in (mine.layernorm_backward_staged, mine.layernorm_backward):
        g.gradient(forward, backward, x, weight, bias, eps=0.1)
        for b, t in ((1, 3), (2, 1)):
            g.gradient(forward, backward, g.normal(b, t, 5), weight, bias)


def after():
    """What the two means take out of the gradient."""
    from npgpt.layers.layernorm import layernorm_backward, layernorm_forward

    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 8))
    _, cache = layernorm_forward(x, np.ones(8), np.zeros(8), eps=0.0)
    dx, _, _ = layernorm_backward(rng.standard_normal((1, 8)), cache)
    return (f"dx sums to {abs(dx.sum()):.0e} over a row, and so does dx * x: {abs((dx * x).sum()):.0e} "
            "(for eps = 0). Shifting or scaling a whole row does not change out, so the gradient "
            "has nothing in these two directions: the two means take them out. This is why the "
            "blocks before a norm may grow without harm, and why their gradients shrink as they "
            "do. Batch norm has the same formula with the means over the batch.")
