import numpy as np


def mse_forward(pred, target):
    diff = pred - target
    loss = np.mean(diff ** 2)
    return loss, diff


def mse_backward(dloss, diff):
    return dloss * 2 * diff / diff.size


USE = {
    "inputs": "pred=(N=4,M=3) target=const(N,M)",
    "forward": "out, cache = mse_forward(pred, target)",
    "backward": "dpred = mse_backward(dout, cache)",
}
