"""How GELU is graded."""

import numpy as np


def grade(mine, g):
    """The forward, large inputs, then the gradient."""
    x = 1.5 * g.normal(2, 3, 5)
    g.values("gelu", mine.gelu_forward, x, axes="B T C")
    g.gradient(mine.gelu_forward, mine.gelu_backward, x)

    def large_inputs():
        x = np.array([-300.0, -40.0, 40.0, 300.0])
        out, cache = mine.gelu_forward(x)
        slope = mine.gelu_backward(np.ones(4), cache)
        slope = slope[0] if isinstance(slope, tuple) else slope
        return np.allclose(out, [0, 0, 40, 300]) and np.allclose(slope, [0, 0, 1, 1]) or (
            f"At -300, -40, 40 and 300 gelu is {out}, its slope {slope}; expected 0, 0, 40, 300 and "
            "0, 0, 1, 1.")

    g.probe("not-finite", "inputs of 300 neither overflow nor give NaN", large_inputs)


def after():
    """How far the two forms are apart, and where GELU falls."""
    from npgpt.layers.gelu import gelu_backward, gelu_exact_forward, gelu_forward

    x = np.linspace(-6, 6, 120_001)
    out, cache = gelu_forward(x)
    apart = np.abs(out - gelu_exact_forward(x)[0])
    (slope,) = gelu_backward(np.ones_like(x), cache)
    falling = x[slope < 0]
    return (f"The tanh form and the exact one are never further apart than {apart.max():.1e}, near "
            f"|x| = {abs(x[apart.argmax()]):.1f}. And GELU is not monotonic: it falls until x = "
            f"{falling.max():.3f}, where it is {out[x == falling.max()][0]:.3f}. So its gradient "
            "may be negative, and a unit below that point is not dead as it would be with ReLU.")
