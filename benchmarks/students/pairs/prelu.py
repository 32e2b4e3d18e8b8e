import numpy as np


# x: (N, C, L), one slope per channel
def prelu_forward(x, a):
    slope = a.reshape(1, -1, 1)
    out = np.where(x > 0, x, slope * x)
    return out, (x, a)


def prelu_backward(dout, cache):
    x, a = cache
    slope = a.reshape(1, -1, 1)
    dx = np.where(x > 0, dout, slope * dout)
    da = np.where(x > 0, 0, x * dout).sum(axis=(0, 2))
    return dx, da


USE = {
    "inputs": "x=(N=2,C=3,L=4) a=(C)",
    "forward": "out, cache = prelu_forward(x, a)",
    "backward": "dx, da = prelu_backward(dout, cache)",
}
