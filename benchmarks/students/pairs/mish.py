import numpy as np


def softplus(x):
    return np.log(1 + np.exp(x))


def mish_forward(x):
    sp = softplus(x)
    t = np.tanh(sp)
    out = x * t
    return out, (x, t)


def mish_backward(dout, cache):
    x, t = cache
    sig = 1 / (1 + np.exp(-x))
    dt = dout * x
    dsp = dt * (1 - t * t)
    dx = dout * t + dsp * sig
    return dx


USE = {
    "inputs": "x=(N=3,D=4)",
    "forward": "out, cache = mish_forward(x)",
    "backward": "dx = mish_backward(dout, cache)",
}
