import numpy as np


class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return np.where(self.mask, x, 0.0)

    def backward(self, dout):
        dx = dout.copy()
        dx[~self.mask] = 0
        return dx


class Dropout:
    def __init__(self, p, seed=0):
        self.p = p  # probability to drop
        self.rng = np.random.RandomState(seed)
        self.training = True

    def forward(self, x):
        if not self.training:
            return x
        keep = 1 - self.p
        self.mask = (self.rng.rand(*x.shape) < keep) / keep
        return x * self.mask

    def backward(self, dout):
        if not self.training:
            return dout
        return dout * self.mask


class Block:
    """Dropout after ReLU."""

    def __init__(self, p):
        self.relu, self.drop = ReLU(), Dropout(p)

    def forward(self, x):
        return self.drop.forward(self.relu.forward(x))

    def backward(self, dout):
        return self.relu.backward(self.drop.backward(dout))


USE = {
    "inputs": "x=(N=4,D=5)",
    "forward": "block = Block(0.3)\nout = block.forward(x)",
    "backward": "dx = block.backward(dout)",
}
