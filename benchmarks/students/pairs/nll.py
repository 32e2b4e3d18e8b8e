import numpy as np


def nll_forward(logp, y, weight):
    """Weighted negative log-likelihood: the mean is over the weights, as in the libraries."""
    rows = np.arange(len(y))
    w = weight[y]
    loss = -(w * logp[rows, y]).sum() / w.sum()
    return loss, (logp.shape, y, w)


def nll_backward(dloss, cache):
    shape, y, w = cache
    dlogp = np.zeros(shape)
    dlogp[np.arange(len(y)), y] = -w / w.sum() * dloss
    return dlogp


USE = {
    "inputs": "logp=(N=5,C=4) y=ids(N)<C weight=const(C)",
    "forward": "out, cache = nll_forward(logp, y, np.abs(weight))",
    "backward": "dlogp = nll_backward(dout, cache)",
}
