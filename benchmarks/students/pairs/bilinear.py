import numpy as np


def bilinear_forward(u, v, W, b):
    """out[n, k] = u[n] W[k] v[n] + b[k]"""
    out = np.einsum("ni,kij,nj->nk", u, W, v) + b
    return out, (u, v, W)


def bilinear_backward(dout, cache):
    u, v, W = cache
    du = np.einsum("nk,kij,nj->ni", dout, W, v)
    dv = np.einsum("nk,kij,ni->nj", dout, W, u)
    dW = np.einsum("nk,ni,nj->kij", dout, u, v)
    db = dout.sum(0)
    return du, dv, dW, db


USE = {
    "inputs": "u=(N=3,I=4) v=(N,J=5) W=(K=2,I,J) b=(K)",
    "forward": "out, cache = bilinear_forward(u, v, W, b)",
    "backward": "du, dv, dW, db = bilinear_backward(dout, cache)",
}
