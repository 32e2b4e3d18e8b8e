import numpy as np


class Module:
    def forward(self, x):
        raise NotImplementedError

    def backward(self, grad):
        raise NotImplementedError

    def __call__(self, x):
        return self.forward(x)


class Linear(Module):
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_out, n_in) * 0.01
        self.b = np.zeros(n_out)
        self.dW = np.zeros_like(self.W)
        self.db = np.zeros_like(self.b)

    def forward(self, x):
        self.x = x
        return x @ self.W.T + self.b

    def backward(self, grad):
        self.dW = grad.T @ self.x
        self.db = grad.sum(axis=0)
        return grad @ self.W


USE = {
    "inputs": "x=(N=3,D=5) W=(M=4,D) b=(M)",
    "forward": "layer = Linear(D, M)\n"
               "layer.W, layer.b = W, b\n"
               "out = layer(x)",
    "backward": "dx = layer.backward(dout)\n"
                "dW, db = layer.dW, layer.db",
}
