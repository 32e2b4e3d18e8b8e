import numpy as np


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
    cache = (x, prev_h, Wx, Wh, next_h)
    return next_h, cache


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    da = (1 - next_h ** 2) * dnext_h
    dx = da.dot(Wx.T)
    dprev_h = da.dot(Wh.T)
    dWx = x.T.dot(da)
    dWh = prev_h.T.dot(da)
    db = da.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db


USE = {
    "inputs": "x=(N=3,D=5) prev_h=(N,H=4) Wx=(D,H) Wh=(H,H) b=(H)",
    "forward": "out, cache = rnn_step_forward(x, prev_h, Wx, Wh, b)",
    "backward": "dx, dprev_h, dWx, dWh, db = rnn_step_backward(dout, cache)",
}
