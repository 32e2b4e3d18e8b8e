"""The whole block

difficulty: 3/5   importance: 5/5   about 50 minutes (estimated)

STORY

Everything is there now. A block of GPT-2 has two branches, and each follows
one pattern: read the residual stream through a LayerNorm, compute, and add
the result to the stream.

    attention: between positions

        x ---+--> ln_1 --> c_attn --> heads --> c_proj --(+)--> middle
             '--------------------------------------------^

    feed-forward: each position by itself

        middle ---+--> ln_2 --> c_fc --> gelu --> c_proj --(+)--> out
                  '-----------------------------------------^

The norm stands at the beginning of a branch (pre-norm), so the stream itself
is never normalised inside a block: it is a sum of everything so far. Each
branch has a norm of its own, with its own weight and bias.

There is no new formula in backward. Walk the forward upwards, line by line,
and give every step's gradient to the step above it. Mind the forks: the
stream is read at two places, by the branch and by the plus sign, so at each
fork two gradients add. A block has 12 parameters; a dict keeps their
gradients under the parameters' names.

MATHEMATICS

    attention      middle = x + linear(heads(linear(ln_1(x))))
    feed-forward   out = middle + linear(gelu(linear(ln_2(middle))))

SHAPES

    x, middle, out    (B, T, C)
    p                 a dict with the names and shapes

        ln_1.weight  ln_1.bias  ln_2.weight  ln_2.bias  (C,)
        attn.c_attn.weight (C, 3C)   attn.c_attn.bias (3C,)
        attn.c_proj.weight (C, C)    attn.c_proj.bias (C,)
        mlp.c_fc.weight (C, F)       mlp.c_fc.bias (F,)        F = 4C in GPT-2
        mlp.c_proj.weight (F, C)     mlp.c_proj.bias (C,)

The layers, as the package has them (x first, then the parameters):

    layernorm_forward(x, weight, bias)
    layernorm_backward -> (dx, dweight, dbias)
    linear_forward(x, weight, bias)
    linear_backward -> (dx, dweight, dbias)
    gelu_forward(x)
    gelu_backward -> (dx,)
    multi_head_attention_forward(qkv, n_head=n_head)
    multi_head_attention_backward -> (dqkv,)

Every forward returns (out, cache), every backward takes (dout, cache).

dx means dLoss/dx, and has the shape of x.
"""

import numpy as np

from npgpt.layers.attention import (
    multi_head_attention_backward,
    multi_head_attention_forward,
)
from npgpt.layers.gelu import gelu_backward, gelu_forward
from npgpt.layers.layernorm import layernorm_backward, layernorm_forward
from npgpt.layers.linear import linear_backward, linear_forward
from npgpt.learn import NotBegun


def block_forward(x, p, *, n_head):
    """One block of GPT-2 over x, with parameters p. Returns (out, cache)."""
    # the two branches of the block
    # ---- your code: begins here ----
    normed, ln_1 = layernorm_forward(x, p["ln_1.weight"], p["ln_1.bias"])
    qkv, c_attn = linear_forward(
        normed, p["attn.c_attn.weight"], p["attn.c_attn.bias"])
    mixed, heads = multi_head_attention_forward(qkv, n_head=n_head)
    branch, attn_proj = linear_forward(
        mixed, p["attn.c_proj.weight"], p["attn.c_proj.bias"])
    middle = x + branch

    normed, ln_2 = layernorm_forward(middle, p["ln_2.weight"], p["ln_2.bias"])
    hidden, c_fc = linear_forward(
        normed, p["mlp.c_fc.weight"], p["mlp.c_fc.bias"])
    active, gelu = gelu_forward(hidden)
    branch, mlp_proj = linear_forward(
        active, p["mlp.c_proj.weight"], p["mlp.c_proj.bias"])
    out = middle + branch
    return out, (ln_1, c_attn, heads, attn_proj, ln_2, c_fc, gelu, mlp_proj)
    # ---- your code: ends here ----


def block_backward(dout, cache):
    """Returns (dx, dp); dp is a dict with the gradient of every parameter."""
    # the gradient of the block
    # ---- your code: begins here ----
    ln_1, c_attn, heads, attn_proj, ln_2, c_fc, gelu, mlp_proj = cache
    dp = {}
    dactive, dp["mlp.c_proj.weight"], dp["mlp.c_proj.bias"] = linear_backward(
        dout, mlp_proj)
    (dhidden,) = gelu_backward(dactive, gelu)
    dnormed, dp["mlp.c_fc.weight"], dp["mlp.c_fc.bias"] = linear_backward(
        dhidden, c_fc)
    through_mlp, dp["ln_2.weight"], dp["ln_2.bias"] = layernorm_backward(
        dnormed, ln_2)
    dmiddle = dout + through_mlp

    dmixed, dp["attn.c_proj.weight"], dp["attn.c_proj.bias"] = linear_backward(
        dmiddle, attn_proj)
    (dqkv,) = multi_head_attention_backward(dmixed, heads)
    dnormed, dp["attn.c_attn.weight"], dp["attn.c_attn.bias"] = linear_backward(
        dqkv, c_attn)
    through_attention, dp["ln_1.weight"], dp["ln_1.bias"] = layernorm_backward(
        dnormed, ln_1)
    dx = dmiddle + through_attention
    return dx, dp
    # ---- your code: ends here ----


def random_block(rng, c, f):
    """Given: parameters of a block, drawn as GPT-2 draws them."""
    shapes = {
        "ln_1.weight": (c,), "ln_1.bias": (c,),
        "attn.c_attn.weight": (c, 3 * c), "attn.c_attn.bias": (3 * c,),
        "attn.c_proj.weight": (c, c), "attn.c_proj.bias": (c,),
        "ln_2.weight": (c,), "ln_2.bias": (c,),
        "mlp.c_fc.weight": (c, f), "mlp.c_fc.bias": (f,),
        "mlp.c_proj.weight": (f, c), "mlp.c_proj.bias": (c,),
    }
    return {name: 0.02 * rng.standard_normal(shape) if len(shape) > 1 else
            np.ones(shape) if name in ("ln_1.weight", "ln_2.weight") else
            np.zeros(shape) for name, shape in shapes.items()}


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 48))
    p = random_block(rng, 48, 4 * 48)
    out, cache = block_forward(x, p, n_head=4)
    dout = rng.standard_normal(out.shape)
    dx, dp = block_backward(dout, cache)
    print(f"What a new block adds to the stream is small: |out - x| / |x| = "
          f"{np.linalg.norm(out - x) / np.linalg.norm(x):.3f},")
    print(f"and so is what it adds to the gradient: |dx - dout| / |dout| = "
          f"{np.linalg.norm(dx - dout) / np.linalg.norm(dout):.3f}\n")
    print("The size of each parameter's gradient:")
    for name in p:
        shape, size = str(p[name].shape), np.linalg.norm(dp[name])
        print(f"  {name:20} {shape:10} {size:8.3f}")
