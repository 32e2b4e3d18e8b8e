import numpy as np


class Tanh:
    def forward(self, x):
        self.t = np.tanh(x)
        return self.t

    def backward(self, dout):
        return dout * (1 - self.t ** 2)


class ResidualBlock:
    """x + tanh(x W1) W2"""

    def __init__(self, W1, W2):
        self.W1, self.W2 = W1, W2
        self.act = Tanh()

    def forward(self, x):
        self.x = x
        self.h = self.act.forward(x @ self.W1)
        return x + self.h @ self.W2

    def backward(self, dout):
        dbranch = dout
        self.dW2 = self.h.T @ dbranch
        dh = dbranch @ self.W2.T
        da = self.act.backward(dh)
        self.dW1 = self.x.T @ da
        dx = dout + da @ self.W1.T
        return dx


USE = {
    "inputs": "x=(N=3,D=4) W1=(D,H=5) W2=(H,D)",
    "forward": "block = ResidualBlock(W1, W2)\nout = block.forward(x)",
    "backward": "dx = block.backward(dout)\ndW1, dW2 = block.dW1, block.dW2",
}
