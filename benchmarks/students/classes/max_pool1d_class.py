import numpy as np


class MaxPool1d:
    def __init__(self, size):
        self.size = size

    def forward(self, x):
        N, C, L = x.shape
        self.in_shape = x.shape
        windows = x.reshape(N, C, L // self.size, self.size)
        self.where = windows.argmax(axis=3)
        return windows.max(axis=3)

    def backward(self, dout):
        N, C, L = self.in_shape
        one_hot = np.eye(self.size)[self.where]     # (N, C, L // size, size)
        dx = one_hot * dout[..., None]
        return dx.reshape(N, C, L)


USE = {
    "inputs": "x=(N=2,C=5,L=12)",
    "forward": "pool = MaxPool1d(3)\nout = pool.forward(x)",
    "backward": "dx = pool.backward(dout)",
}
