import numpy as np


def layer_norm_forward(x, gamma, beta, eps=1e-5):
    mu = x.mean(axis=-1, keepdims=True)
    var = x.var(axis=-1, keepdims=True)
    std = np.sqrt(var + eps)
    x_hat = (x - mu) / std
    out = gamma * x_hat + beta
    return out, (x_hat, std, gamma)


def layer_norm_backward(dout, cache):
    x_hat, std, gamma = cache
    dgamma = (dout * x_hat).sum(axis=0)
    dbeta = dout.sum(axis=0)
    dx_hat = dout * gamma
    mean_d = dx_hat.mean(axis=-1, keepdims=True)
    mean_dx = (dx_hat * x_hat).mean(axis=-1, keepdims=True)
    dx = (dx_hat - mean_d - x_hat * mean_dx) / std
    return dx, dgamma, dbeta


USE = {
    "inputs": "x=(N=3,D=5) gamma=(D) beta=(D)",
    "forward": "out, cache = layer_norm_forward(x, gamma, beta)",
    "backward": "dx, dgamma, dbeta = layer_norm_backward(dout, cache)",
}
