"""AdamW: one step

difficulty: 3/5   importance: 5/5   about 40 minutes (estimated)

STORY

Plain gradient descent takes p - lr * g with one lr for all. But gradients
differ by orders of magnitude: a bias may get 10, a rare token's row 0.001,
and no lr fits both. Adam keeps two running means for every single number: m
of its gradient, and v of the gradient's square. The step is m / sqrt(v).
Scale a parameter's gradients by 1000 and nothing changes: its steps are about
lr, whatever its gradient's size, as long as the sign does not flip.

Both means start at 0, and a running mean that starts at 0 is too small at
first. After one step m is (1 - beta1) * g: with beta1 = 0.9 a tenth of g. It
is too small by the factor 1 - beta1^t exactly (put in a constant g and sum
up), and so Adam divides by it. With t = 1 in the first step, mhat is g, and
the first step is lr * sign(g).

The W stands for weight decay, which pulls weights towards 0. It is applied to
the parameter itself: p shrinks by the factor 1 - lr * weight_decay. (If it is
added to g instead, m / sqrt(v) divides it away again, most where the
gradients are large.) GPT-2's training decays matrices and tables, that is
whatever has two or more axes, and leaves biases and LayerNorm's weights
alone.

MATHEMATICS

For each parameter p with gradient g, at step t = 1, 2, 3, ...:

    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g^2                        element by element
    mhat = m / (1 - beta1^t)
    vhat = v / (1 - beta2^t)
    p = p * (1 - lr * weight_decay) - lr * mhat / (sqrt(vhat) + eps)
    where p is the one before the step, and a p with one axis does not decay

SHAPES

    params, grads, m, v   dicts of arrays, with the same names and shapes
    step                  t, counted from 1, the same for all parameters
    betas                 (beta1, beta2)

Write into the arrays of params, m and v (p[...] = new, or p -= change): the
caller holds them, and calls again with step + 1. Leave grads as they are.
"""

import numpy as np

from npgpt.learn import NotBegun


def adamw(params, grads, m, v, *, step, lr, betas, eps, weight_decay):
    """Update params, m and v in place; `step` counts updates from 1."""
    # one step of AdamW
    # ---- your code: begins here ----
    beta1, beta2 = betas
    for name, p in params.items():
        g = grads[name]
        m[name][...] = beta1 * m[name] + (1 - beta1) * g
        v[name][...] = beta2 * v[name] + (1 - beta2) * g**2
        mhat = m[name] / (1 - beta1**step)
        vhat = v[name] / (1 - beta2**step)
        decay = weight_decay if p.ndim >= 2 else 0.0
        p[...] = p * (1 - lr * decay) - lr * mhat / (np.sqrt(vhat) + eps)
    # ---- your code: ends here ----


if __name__ == "__main__":
    # a loss whose two directions differ by a factor of a thousand
    curvature = np.array([1000.0, 1.0])
    plain, params = np.ones(2), {"p": np.ones(2)}
    m, v = {"p": np.zeros(2)}, {"p": np.zeros(2)}
    print("The loss (1000 a^2 + b^2) / 2, from a = b = 1")
    print("lr is 0.0019 for plain descent, 0.05 for AdamW\n")
    print("step      descent: a          b       AdamW: a          b")
    for step in range(1, 101):
        plain = plain - 0.0019 * curvature * plain
        adamw(params, {"p": curvature * params["p"]}, m, v, step=step, lr=0.05,
              betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
        if step in (1, 2, 5, 10, 20, 50, 100):
            a, b = params["p"]
            print(f"{step:4} {plain[0]:15.4f} {plain[1]:10.4f} "
                  f"{a:14.4f} {b:10.4f}")
