"""# A layer and its gradient

Every layer of npgpt is a pair of NumPy functions: `forward` computes, and `backward` says how the
loss changes with each input. Here you write the pair for LayerNorm, get it wrong once, see what the
gradient doctor says, put it right, and train a small GPT-2 with it.

Everything runs on a laptop, without a network, in less than a minute.
"""
# %%
from dataclasses import replace

import numpy as np

from npgpt import GPT2, TEXTBOOK, GPT2Config, Op
from npgpt.demos.layernorm import layernorm_demo, layernorm_picture, layernorm_text
from npgpt.doctor import check

rng = np.random.default_rng(0)

# %% [markdown]
# ## What the layer does
#
# Each row of `x` is one position of a text, with C channels. LayerNorm takes the row's mean away
# and divides by its standard deviation; then every channel is scaled by `weight` and shifted by
# `bias`.

# %%
shown = layernorm_demo()
print(layernorm_text(shown))

# %%
layernorm_picture(shown)

# %% [markdown]
# ## Forward
#
# With $\mu$ and $\sigma^2$ the mean and the variance of a row:
#
# $$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \qquad \text{out} = \hat x \cdot w + b$$
#
# `forward` returns the result, and a cache: what `backward` will need.


# %%
def my_forward(x, weight, bias, *, eps=1e-5):
    """x (..., C), weight (C,), bias (C,) give (..., C)."""
    mean = x.mean(axis=-1, keepdims=True)                       # (..., 1)
    var = ((x - mean) ** 2).mean(axis=-1, keepdims=True)        # (..., 1)
    rstd = 1.0 / np.sqrt(var + eps)                             # (..., 1)
    xhat = (x - mean) * rstd                                    # (..., C)
    return xhat * weight + bias, (xhat, rstd, weight)


x = rng.standard_normal((2, 3, 5))
weight, bias = rng.standard_normal(5), rng.standard_normal(5)
out, cache = my_forward(x, weight, bias)
print("largest difference from the textbook's layer:",
      np.abs(out - TEXTBOOK.layernorm(x, weight, bias)).max())

# %% [markdown]
# ## Backward, a first attempt
#
# `backward` is given `dout`, the gradient of the loss for each element of `out`, and returns one
# gradient for each input, of that input's shape.
#
# `bias` was added to every row, so its gradient is the sum of `dout` over the rows; `weight` was
# multiplied by `xhat`, so there the sum is of `dout * xhat`. And `x`? It was multiplied by `rstd`,
# so one may think that `dx` is `dxhat * rstd`.


# %%
def first_attempt(dout, cache):
    """dout (..., C) gives dx (..., C), dweight (C,), dbias (C,)."""
    xhat, rstd, weight = cache
    rows = tuple(range(dout.ndim - 1))
    dweight = (dout * xhat).sum(axis=rows)
    dbias = dout.sum(axis=rows)
    dxhat = dout * weight
    return dxhat * rstd, dweight, dbias


print(check(my_forward, first_attempt, x, weight, bias))

# %% [markdown]
# The doctor moved every input a little, both ways, and compared. `weight` and `bias` are right.
# `dx` is not, and the report says what is missing: `x` reaches the output by other ways too,
# through the mean and through the variance of its row.
#
# ## Backward, by all ways
#
# With $g = \partial L / \partial \hat x$ and means over the row:
#
# $$\frac{\partial L}{\partial x} = \frac{1}{\sqrt{\sigma^2 + \epsilon}}
#   \left( g - \overline{g} - \hat x \cdot \overline{g \hat x} \right)$$
#
# One term for each way: directly, through the mean, through the variance.


# %%
def my_backward(dout, cache):
    """dout (..., C) gives dx (..., C), dweight (C,), dbias (C,)."""
    xhat, rstd, weight = cache
    rows = tuple(range(dout.ndim - 1))
    dweight = (dout * xhat).sum(axis=rows)                              # (C,)
    dbias = dout.sum(axis=rows)                                         # (C,)
    dxhat = dout * weight                                               # (..., C)
    through_mean = dxhat.mean(axis=-1, keepdims=True)                   # (..., 1)
    through_var = xhat * (dxhat * xhat).mean(axis=-1, keepdims=True)    # (..., C)
    return rstd * (dxhat - through_mean - through_var), dweight, dbias


print(check(my_forward, my_backward, x, weight, bias))

# %% [markdown]
# Why not simply check the gradient of `out.sum()`? With `weight` all ones the outputs of a row
# sum to a constant, and the true `dx` is zero: a backward that forgot almost everything can pass
# such a check. So `check` draws a random `dout`.

# %%
ones = np.ones(5)
_, cache = my_forward(x, ones, bias)
dx, _, _ = my_backward(np.ones_like(x), cache)
print(f"dx of a plain sum: at most {np.abs(dx).max():.1e}")

# %% [markdown]
# ## Your layer in GPT-2
#
# A model is handed its layers. `replace` exchanges one of the textbook's, and GPT-2 computes and
# trains with yours.

# %%
mine = replace(TEXTBOOK, layernorm=Op("layernorm", my_forward, my_backward))
config = GPT2Config(vocab_size=50, n_positions=16, n_embd=32, n_layer=2, n_head=4)
ids = rng.integers(0, 50, (4, 16))
inputs, targets = ids[:, :-1], ids[:, 1:]

for name, ops in (("the textbook's LayerNorm", TEXTBOOK), ("yours", mine)):
    model = GPT2(config, GPT2.init(config, seed=1, dtype="float64").params, ops=ops)
    losses = []
    for _ in range(30):
        loss, grads = model.loss_and_grads(inputs, targets)
        for key, grad in grads.items():
            model.params[key] -= 0.5 * grad
        losses.append(loss)
    print(f"{name:25} loss {losses[0]:.6f} -> {losses[-1]:.6f}")

# %% [markdown]
# Both lines are the same. To go on: spoil `my_backward` in a way of your own and let `check` find
# it, or write the pair of another layer. `npgpt demo` lists demonstrations of each, and `npgpt
# gradcheck` checks all that there are.
