import numpy as np


def instancenorm_forward(x, gamma, beta, eps=1e-5):
    """Every channel of every image by its own mean and variance."""
    mu = x.mean(axis=(2, 3), keepdims=True)
    xc = x - mu
    var = np.mean(xc * xc, axis=(2, 3), keepdims=True)
    rstd = 1 / np.sqrt(var + eps)
    xn = xc * rstd
    out = gamma.reshape(1, -1, 1, 1) * xn + beta.reshape(1, -1, 1, 1)
    cache = {"xn": xn, "xc": xc, "rstd": rstd, "gamma": gamma}
    return out, cache


def instancenorm_backward(dout, cache):
    xn, xc, rstd = cache["xn"], cache["xc"], cache["rstd"]
    gamma = cache["gamma"].reshape(1, -1, 1, 1)
    M = dout.shape[2] * dout.shape[3]
    dgamma = np.sum(dout * xn, axis=(0, 2, 3))
    dbeta = np.sum(dout, axis=(0, 2, 3))
    dxn = dout * gamma
    dvar = np.sum(dxn * xc, axis=(2, 3), keepdims=True) * -0.5 * rstd ** 3
    dxc = dxn * rstd + dvar * 2 * xc / M
    dmu = -dxc.sum(axis=(2, 3), keepdims=True)
    dx = dxc + dmu / M
    return dx, dgamma, dbeta


USE = {
    "inputs": "x=(N=2,C=3,H=4,W=5) gamma=(C) beta=(C)",
    "forward": "out, cache = instancenorm_forward(x, gamma, beta, eps=1e-3)",
    "backward": "dx, dgamma, dbeta = instancenorm_backward(dout, cache)",
}
