import numpy as np

sigmoid = lambda x: 1.0 / (1.0 + np.exp(-x))
sigmoid_grad = lambda y: y * (1.0 - y)  # takes the output
tanh_grad = lambda y: 1.0 - y ** 2


def gate_forward(a, b):
    s = sigmoid(a)
    t = np.tanh(b)
    return s * t, (s, t)


def gate_backward(dout, cache):
    s, t = cache
    da = dout * t * sigmoid_grad(s)
    db = dout * s * tanh_grad(t)
    return da, db


USE = {
    "inputs": "a=(N=3,D=4) b=(N,D)",
    "forward": "out, cache = gate_forward(a, b)",
    "backward": "da, db = gate_backward(dout, cache)",
}
