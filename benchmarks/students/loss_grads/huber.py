import numpy as np


def huber_loss(pred, target, delta=1.0):
    r = pred - target
    small = np.abs(r) <= delta
    loss = np.where(small, 0.5 * r ** 2, delta * (np.abs(r) - 0.5 * delta))
    grad = np.where(small, r, delta * np.sign(r))
    return loss.mean(), grad / pred.size


USE = {
    "inputs": "pred=(N=4,M=3) target=const(N,M)",
    "forward": "out, grad = huber_loss(pred, target, delta=0.8)",
    "backward": "dpred = grad",
}
