import numpy as np


def affine_forward(x, w, b):
    N = x.shape[0]
    flat = x.reshape(N, -1)
    out = flat.dot(w) + b
    cache = (x, w, b)
    return out, cache


def affine_backward(dout, cache):
    x, w, b = cache
    N = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(N, -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


USE = {
    "inputs": "x=(N=2,H=3,W=4) w=(D=12,M=5) b=(M)",
    "forward": "out, cache = affine_forward(x, w, b)",
    "backward": "dx, dw, db = affine_backward(dout, cache)",
}
