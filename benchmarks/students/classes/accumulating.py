import numpy as np


class Parameter:
    def __init__(self, data):
        self.data = data
        self.grad = np.zeros_like(data)


class ScaledLinear:
    """Gradients are added up, as in the libraries, until zero_grad sets them back."""

    def __init__(self, W, g):
        self.W, self.g = Parameter(W), Parameter(g)

    def parameters(self):
        return [self.W, self.g]

    def zero_grad(self):
        for p in self.parameters():
            p.grad[:] = 0

    def forward(self, x):
        self.x = x
        self.y = x @ self.W.data
        return self.y * self.g.data

    def backward(self, dout):
        self.g.grad += (dout * self.y).sum(axis=0)
        dout = dout * self.g.data
        self.W.grad += self.x.T @ dout
        return dout @ self.W.data.T


USE = {
    "inputs": "x=(N=3,D=5) W=(D,M=4) g=(M)",
    "forward": "layer = ScaledLinear(W, g)\nout = layer.forward(x)",
    "backward": "layer.zero_grad()\n"
                "dx = layer.backward(dout)\n"
                "dW, dg = layer.W.grad, layer.g.grad",
}
