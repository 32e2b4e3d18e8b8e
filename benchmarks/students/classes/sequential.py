import numpy as np


class Dense:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.inp = x
        return x.dot(self.W) + self.b

    def backward(self, d):
        self.dW = self.inp.T.dot(d)
        self.db = d.sum(0)
        return d.dot(self.W.T)


class LeakyReLU:
    def __init__(self, slope=0.1):
        self.slope = slope

    def forward(self, x):
        self.inp = x
        return np.where(x > 0, x, self.slope * x)

    def backward(self, d):
        return d * np.where(self.inp > 0, 1, self.slope)


class Sequential:
    def __init__(self, *layers):
        self.layers = layers

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, d):
        for layer in reversed(self.layers):
            d = layer.backward(d)
        return d


USE = {
    "inputs": "x=(N=3,D=4) W1=(D,H=5) b1=(H) W2=(H,M=2) b2=(M)",
    "forward": "first, last = Dense(W1, b1), Dense(W2, b2)\n"
               "net = Sequential(first, LeakyReLU(), last)\n"
               "out = net.forward(x)",
    "backward": "dx = net.backward(dout)\n"
                "dW1, db1, dW2, db2 = first.dW, first.db, last.dW, last.db",
}
