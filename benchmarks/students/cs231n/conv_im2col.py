import numpy as np


def im2col(x, k, stride):
    N, C, H, W = x.shape
    Ho, Wo = (H - k) // stride + 1, (W - k) // stride + 1
    cols = np.empty((N, Ho, Wo, C, k, k), dtype=x.dtype)
    for i in range(Ho):
        for j in range(Wo):
            cols[:, i, j] = x[:, :, i * stride:i * stride + k, j * stride:j * stride + k]
    return cols.reshape(N * Ho * Wo, C * k * k)


def col2im(cols, shape, k, stride):
    N, C, H, W = shape
    Ho, Wo = (H - k) // stride + 1, (W - k) // stride + 1
    cols = cols.reshape(N, Ho, Wo, C, k, k)
    x = np.zeros(shape)
    for i in range(Ho):
        for j in range(Wo):
            x[:, :, i * stride:i * stride + k, j * stride:j * stride + k] += cols[:, i, j]
    return x


def conv_forward(x, w, b, stride=1):
    N, C, H, W = x.shape
    F, _, k, _ = w.shape
    cols = im2col(x, k, stride)
    w_row = w.reshape(F, -1)
    out = cols @ w_row.T + b
    Ho, Wo = (H - k) // stride + 1, (W - k) // stride + 1
    out = out.reshape(N, Ho, Wo, F).transpose(0, 3, 1, 2)
    return out, (x.shape, cols, w, stride)


def conv_backward(dout, cache):
    x_shape, cols, w, stride = cache
    F, _, k, _ = w.shape
    dflat = dout.transpose(0, 2, 3, 1).reshape(-1, F)
    db = dflat.sum(axis=0)
    dw = (dflat.T @ cols).reshape(w.shape)
    dcols = dflat @ w.reshape(F, -1)
    dx = col2im(dcols, x_shape, k, stride)
    return dx, dw, db


USE = {
    "inputs": "x=(N=2,C=3,H=6,W=7) w=(F=4,C,K=5,K) b=(F)",
    "forward": "out, cache = conv_forward(x, w, b, stride=1)",
    "backward": "dx, dw, db = conv_backward(dout, cache)",
}
