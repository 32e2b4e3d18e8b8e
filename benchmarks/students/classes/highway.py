import numpy as np


class Highway:
    """y = t * relu(x Wh + bh) + (1 - t) * x, with a gate t = sigmoid(x Wt + bt)"""

    def __init__(self, Wh, bh, Wt, bt):
        self.params = [Wh, bh, Wt, bt]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        Wh, bh, Wt, bt = self.params
        self.x = x
        self.a = x @ Wh + bh
        self.h = np.maximum(self.a, 0)
        self.t = 1 / (1 + np.exp(-(x @ Wt + bt)))
        return self.t * self.h + (1 - self.t) * x

    def backward(self, dout):
        Wh, bh, Wt, bt = self.params
        da = dout * self.t * (self.a > 0)
        dt = dout * (self.h - self.x)
        dpre = dt * self.t * (1 - self.t)
        self.grads[0][...] = self.x.T @ da
        self.grads[1][...] = da.sum(axis=0)
        self.grads[2][...] = self.x.T @ dpre
        self.grads[3][...] = dpre.sum(axis=0)
        dx = dout * (1 - self.t)
        dx += da @ Wh.T
        dx += dpre @ Wt.T
        return dx


USE = {
    "inputs": "x=(N=3,D=4) Wh=(D,D) bh=(D) Wt=(D,D) bt=(D)",
    "forward": "layer = Highway(Wh, bh, Wt, bt)\nout = layer.forward(x)",
    "backward": "dx = layer.backward(dout)\ndWh, dbh, dWt, dbt = layer.grads",
}
