import numpy as np


def avg_pool_forward(x, pool_param):
    k, s = pool_param["size"], pool_param["stride"]
    N, C, H, W = x.shape
    Ho, Wo = (H - k) // s + 1, (W - k) // s + 1
    out = np.zeros((N, C, Ho, Wo))
    for i in range(Ho):
        for j in range(Wo):
            out[:, :, i, j] = x[:, :, i * s:i * s + k, j * s:j * s + k].mean(axis=(2, 3))
    cache = (x.shape, pool_param)
    return out, cache


def avg_pool_backward(dout, cache):
    shape, pool_param = cache
    k, s = pool_param["size"], pool_param["stride"]
    dx = np.zeros(shape)
    _, _, Ho, Wo = dout.shape
    for i in range(Ho):
        for j in range(Wo):
            g = dout[:, :, i, j] / (k * k)
            dx[:, :, i * s:i * s + k, j * s:j * s + k] += g[:, :, None, None]
    return dx


USE = {
    "inputs": "x=(N=2,C=3,H=5,W=7)",
    "forward": "out, cache = avg_pool_forward(x, {'size': 3, 'stride': 2})",
    "backward": "dx = avg_pool_backward(dout, cache)",
}
