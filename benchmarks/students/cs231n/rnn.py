import numpy as np


def step(x, h, Wx, Wh, b):
    h_new = np.tanh(x @ Wx + h @ Wh + b)
    return h_new, (x, h, h_new)


def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    h = np.zeros((N, T, h0.shape[1]))
    steps = []
    prev = h0
    for t in range(T):
        prev, c = step(x[:, t], prev, Wx, Wh, b)
        h[:, t] = prev
        steps.append(c)
    return h, (steps, Wx, Wh)


def rnn_backward(dh, cache):
    steps, Wx, Wh = cache
    N, T, H = dh.shape
    dx = np.zeros((N, T, Wx.shape[0]))
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(H)
    dprev = np.zeros((N, H))
    for t in reversed(range(T)):
        x, h, h_new = steps[t]
        dnext = dh[:, t] + dprev
        draw = dnext * (1 - h_new * h_new)
        dx[:, t] = draw @ Wx.T
        dprev = draw @ Wh.T
        dWx += x.T @ draw
        dWh += h.T @ draw
        db += draw.sum(axis=0)
    dh0 = dprev
    return dx, dh0, dWx, dWh, db


USE = {
    "inputs": "x=(N=2,T=3,D=5) h0=(N,H=4) Wx=(D,H) Wh=(H,H) b=(H)",
    "forward": "out, cache = rnn_forward(x, h0, Wx, Wh, b)",
    "backward": "dx, dh0, dWx, dWh, db = rnn_backward(dout, cache)",
}
