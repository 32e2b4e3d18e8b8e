"""Small right pairs that the tests of the doctor break on purpose."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

WORKER = ThreadPoolExecutor(1)  # what a thread does is not seen by the one that waits for it


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def linear_forward(x, weight, bias):
    out = x @ weight
    if bias is not None:
        out = out + bias
    return out, (x, weight, bias is not None)


def linear_backward(dout, cache):
    x, weight, has_bias = cache
    rows = dout.reshape(-1, dout.shape[-1])
    dweight = x.reshape(-1, x.shape[-1]).T @ rows
    return dout @ weight.T, dweight, rows.sum(axis=0) if has_bias else None


def linear_inputs():
    return normal(0, 2, 3, 4), normal(1, 4, 5), normal(2, 5)


def softmax_forward(x):
    exps = np.exp(x - x.real.max(axis=-1, keepdims=True))
    out = exps / exps.sum(axis=-1, keepdims=True)
    return out, out


def softmax_backward(dout, out):
    through_sum = (dout * out).sum(axis=-1, keepdims=True)
    return (out * (dout - through_sum),)


def layernorm_forward(x, weight, bias, *, eps=1e-5):
    mean = x.mean(axis=-1, keepdims=True)
    centred = x - mean
    var = (centred * centred).mean(axis=-1, keepdims=True)
    rstd = 1 / np.sqrt(var + eps)
    xhat = centred * rstd
    return xhat * weight + bias, (xhat, rstd, weight)


def layernorm_backward(dout, cache):
    xhat, rstd, weight = cache
    axes = tuple(range(dout.ndim - 1))
    dxhat = dout * weight
    through_mean = dxhat.mean(axis=-1, keepdims=True)
    through_var = xhat * (dxhat * xhat).mean(axis=-1, keepdims=True)
    dx = rstd * (dxhat - through_mean - through_var)
    return dx, (dout * xhat).sum(axis=axes), dout.sum(axis=axes)


def layernorm_inputs():
    return normal(3, 2, 3, 8), normal(4, 8), normal(5, 8)


def embedding_forward(ids, weight):
    return weight[ids], (ids, weight.shape)


def embedding_backward(dout, cache):
    ids, shape = cache
    dweight = np.zeros(shape)
    np.add.at(dweight, ids, dout)
    return None, dweight


def embedding_inputs():
    return np.array([[1, 2, 1], [4, 0, 1]]), normal(6, 6, 4)


def attention_forward(q, k, v):
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    visible = np.tri(*scores.shape[-2:], dtype=bool)
    weights, cache = softmax_forward(np.where(visible, scores, -np.inf))
    return weights @ v, (q, k, v, weights, cache)


def attention_backward(dout, cache):
    q, k, v, weights, softmax_cache = cache
    dv = weights.swapaxes(-1, -2) @ dout
    (dscores,) = softmax_backward(dout @ v.swapaxes(-1, -2), softmax_cache)
    dscores = dscores / np.sqrt(q.shape[-1])
    return dscores @ k, dscores.swapaxes(-1, -2) @ q, dv


def attention_inputs():
    return normal(7, 2, 3, 4), normal(8, 2, 3, 4), normal(9, 2, 3, 4)


def dropout_forward(x, *, rate, rng):
    mask = (rng.random(x.shape) >= rate) / (1 - rate)
    return x * mask, mask


def dropout_backward(dout, mask):
    return (dout * mask,)


PAIRS = {
    "linear": (linear_forward, linear_backward, linear_inputs()),
    "softmax": (softmax_forward, softmax_backward, (normal(0, 2, 3, 5),)),
    "layernorm": (layernorm_forward, layernorm_backward, layernorm_inputs()),
    "embedding": (embedding_forward, embedding_backward, embedding_inputs()),
    "attention": (attention_forward, attention_backward, attention_inputs()),
}


def damaged(backward, damage):
    """`backward` with its gradients put through `damage`, as if both were compiled: no source of
    them can be read, and no step of them seen."""

    def broken(dout, cache):
        grads = damage(*backward(np.array(dout), _plain(cache)))
        return tuple(np.array(g) if isinstance(g, np.ndarray) else g for g in grads)

    return lambda dout, cache: WORKER.submit(broken, dout, cache).result()


def _plain(cache):
    """The cache without what would write down its steps."""
    if isinstance(cache, tuple):
        return tuple(map(_plain, cache))
    return np.array(cache) if isinstance(cache, np.ndarray) else cache
