import numpy as np


def elu_forward(x, alpha=1.0):
    out = np.where(x > 0, x, alpha * (np.exp(x) - 1))
    return out, (x, out, alpha)


def elu_backward(dout, cache):
    x, out, alpha = cache
    slope = np.where(x > 0, 1.0, out + alpha)
    return dout * slope


USE = {
    "inputs": "x=(N=3,D=4)",
    "forward": "out, cache = elu_forward(x, alpha=0.7)",
    "backward": "dx = elu_backward(dout, cache)",
}
