"""The residual connection, and thirty layers with and without it

difficulty: 2/5   importance: 5/5   about 30 minutes (estimated)

STORY

Stack thirty layers, each of which replaces x by f(x). On the way back the
gradient is multiplied by thirty Jacobians, and if each shrinks it by a half,
what arrives at the first layer is a billionth of what set out. The first
layers do not learn.

A residual connection changes one thing: a layer adds to x instead of
replacing it, out = x + f(x). Now the gradient has two ways back. One goes
through f; the other goes through the plus sign, where it is not multiplied by
anything. It arrives at the first layer whatever the branches do. In GPT-2 the
running x is called the *residual stream*: each branch reads from it, through
a LayerNorm, and adds its result to it.

    forward     x ---+--> norm --> linear --> tanh --> branch ---(+)--> out
                     '--------------------------------------------^

    backward    dx <-(+)<--- norm <-- linear <-- tanh <-- dbranch <--+--- dout
                      ^----------------------------------------------'

Where a line forks in forward, gradients add in backward; where two lines add
in forward, the gradient forks. x forks here.

MATHEMATICS

    residual   out = x + branch

    sublayer   y = layernorm(x)         h = linear(y)
               branch = tanh(h)         out = x + branch
               d tanh(h) / dh = 1 - tanh(h)^2

    depth      x_0 = x
               x_(l+1) = x_l + tanh(x_l @ W_l)    with the connection
               x_(l+1) = tanh(x_l @ W_l)          without it
               sizes[l] = norm of dLoss/dx_l

dLoss/dx_L = dout is given. So sizes[L] = norm(dout), and sizes[0] is what the
input gets. (No LayerNorm in the stack, to see the connection's effect alone.)

SHAPES

    x, branch, out      (B, T, C)     gain, shift, bias   (C,)
    weight, each W_l    (C, C)        sizes               (L + 1,)

dx means dLoss/dx, and has the shape of x. Return one gradient for
each array, in order. Use the package's layers, which are imported below: each
is a pair, such as

    linear_forward(x, weight, bias)  -> (out, cache)
    linear_backward(dout, cache)     -> (dx, dweight, dbias)
"""

import numpy as np

from npgpt.layers.layernorm import layernorm_backward, layernorm_forward
from npgpt.layers.linear import linear_backward, linear_forward
from npgpt.learn import NotBegun


def residual_forward(x, branch):
    """x + branch, both (B, T, C). Returns (out, cache)."""
    # the residual connection
    # ---- your code: begins here ----
    return x + branch, None
    # ---- your code: ends here ----


def residual_backward(dout, cache):
    """Returns (dx, dbranch)."""
    # the gradient of the residual connection
    # ---- your code: begins here ----
    return dout, dout
    # ---- your code: ends here ----


def sublayer_forward(x, gain, shift, weight, bias):
    """x + tanh(linear(layernorm(x))). Returns (out, cache)."""
    # the sublayer: norm, linear, tanh, and the residual connection
    # ---- your code: begins here ----
    normed, norm_cache = layernorm_forward(x, gain, shift)
    hidden, linear_cache = linear_forward(normed, weight, bias)
    branch = np.tanh(hidden)
    return x + branch, (norm_cache, linear_cache, branch)
    # ---- your code: ends here ----


def sublayer_backward(dout, cache):
    """Returns (dx, dgain, dshift, dweight, dbias)."""
    # the gradient of the sublayer
    # ---- your code: begins here ----
    norm_cache, linear_cache, branch = cache
    dhidden = dout * (1 - branch**2)
    dnormed, dweight, dbias = linear_backward(dhidden, linear_cache)
    through_branch, dgain, dshift = layernorm_backward(dnormed, norm_cache)
    dx = dout + through_branch
    return dx, dgain, dshift, dweight, dbias
    # ---- your code: ends here ----


def gradient_sizes(x, weights, dout, connected):
    """The norm of dLoss/dx_l for l = 0 .. L; x is added if `connected`."""
    # the way through all layers and back
    # ---- your code: begins here ----
    branches = []
    for weight in weights:
        branch = np.tanh(x @ weight)
        branches.append(branch)
        x = x + branch if connected else branch
    dx = dout
    sizes = [np.linalg.norm(dx)]
    for weight, branch in zip(weights[::-1], branches[::-1]):
        through_branch = (dx * (1 - branch**2)) @ weight.T
        dx = dx + through_branch if connected else through_branch
        sizes.append(np.linalg.norm(dx))
    return np.array(sizes[::-1])
    # ---- your code: ends here ----


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    depth, width = 30, 16
    x, dout = rng.standard_normal((2, 2, 3, width))
    weights = [0.5 * rng.standard_normal((width, width)) / width**0.5
               for _ in range(depth)]
    sizes = {name: gradient_sizes(x, weights, dout, name == "with")
             for name in ("without", "with")}
    print("The size of the gradient on its way back. A bar begins at 1e-10;\n"
          "each * in it stands for a factor of 10.")
    for name, size in sizes.items():
        print(f"\n{name} the residual connection")
        for level in range(depth, -1, -5):
            bar = "*" * max(0, round(np.log10(size[level]) + 10))
            print(f"  input of layer {level:2}   {size[level]:8.1e}  {bar}")
