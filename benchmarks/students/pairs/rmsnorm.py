import numpy as np


def rmsnorm_forward(x, g, eps=1e-6):
    ms = (x * x).mean(-1, keepdims=True)
    r = 1.0 / np.sqrt(ms + eps)
    xn = x * r
    return xn * g, (x, g, r, xn)


def rmsnorm_backward(dout, cache):
    x, g, r, xn = cache
    dg = (dout * xn).sum(axis=(0, 1))
    dxn = dout * g
    dr = (dxn * x).sum(-1, keepdims=True)
    dms = -0.5 * dr * r ** 3
    dx = dxn * r + dms * 2 * x / x.shape[-1]
    return dx, dg


USE = {
    "inputs": "x=(B=2,T=3,C=5) g=(C)",
    "forward": "out, cache = rmsnorm_forward(x, g, eps=0.1)",
    "backward": "dx, dg = rmsnorm_backward(dout, cache)",
}
