import numpy as np


def dropout_forward(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]  # p: probability to keep
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask = None
    if mode == "train":
        mask = (np.random.rand(*x.shape) < p) / p
        out = x * mask
    else:
        out = x
    return out, (dropout_param, mask)


def dropout_backward(dout, cache):
    dropout_param, mask = cache
    if dropout_param["mode"] == "train":
        dx = dout * mask
    else:
        dx = dout
    return dx


USE = {
    "inputs": "x=(N=4,D=5)",
    "forward": "out, cache = dropout_forward(x, {'p': 0.6, 'mode': 'train', 'seed': 3})",
    "backward": "dx = dropout_backward(dout, cache)",
}
