import numpy as np


def max_pool_forward(x, size=2):
    N, C, H, W = x.shape
    tiles = x.reshape(N, C, H // size, size, W // size, size)
    out = tiles.max(axis=3).max(axis=4)
    return out, (x, tiles, out)


def max_pool_backward(dout, cache):
    x, tiles, out = cache
    mask = tiles == out[:, :, :, None, :, None]
    dtiles = np.zeros_like(tiles)
    spread, _ = np.broadcast_arrays(dout[:, :, :, None, :, None], dtiles)
    dtiles[mask] = spread[mask]
    dtiles /= mask.sum(axis=(3, 5), keepdims=True)  # equal maxima share
    return dtiles.reshape(x.shape)


USE = {
    "inputs": "x=(N=3,C=5,H=4,W=6)",
    "forward": "out, cache = max_pool_forward(x)",
    "backward": "dx = max_pool_backward(dout, cache)",
}
