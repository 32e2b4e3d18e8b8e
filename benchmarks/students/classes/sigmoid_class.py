import numpy as np


class Sigmoid:
    def forward(self, z):
        self.out = 1 / (1 + np.exp(-z))
        return self.out

    def backward(self, grad):
        return grad * self.out * (1 - self.out)


USE = {
    "inputs": "z=(N=3,D=4)",
    "forward": "layer = Sigmoid()\nout = layer.forward(z)",
    "backward": "dz = layer.backward(dout)",
}
