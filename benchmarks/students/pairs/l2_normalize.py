import numpy as np


def l2norm_forward(x, eps=1e-8):
    norm = np.sqrt(np.sum(x ** 2, axis=1, keepdims=True) + eps)
    y = x / norm
    return y, (y, norm)


def l2norm_backward(dy, cache):
    y, norm = cache
    proj = np.sum(dy * y, axis=1, keepdims=True)
    dx = (dy - y * proj) / norm
    return dx


USE = {
    "inputs": "x=(N=3,D=5)",
    "forward": "out, cache = l2norm_forward(x, eps=0.1)",
    "backward": "dx = l2norm_backward(dout, cache)",
}
