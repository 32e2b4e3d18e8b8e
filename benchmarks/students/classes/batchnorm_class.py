import numpy as np


class BatchNorm1d:
    def __init__(self, dim, eps=1e-5, momentum=0.1):
        self.eps, self.momentum = eps, momentum
        self.gamma, self.beta = np.ones(dim), np.zeros(dim)
        self.running_mean, self.running_var = np.zeros(dim), np.ones(dim)
        self.grads = {}

    def forward(self, x, training=True):
        if training:
            mean = x.mean(axis=0)
            var = x.var(axis=0)
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
            self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var
        else:
            mean, var = self.running_mean, self.running_var
        self.x_centered = x - mean
        self.std_inv = 1.0 / np.sqrt(var + self.eps)
        self.x_norm = self.x_centered * self.std_inv
        return self.gamma * self.x_norm + self.beta

    def backward(self, dout):
        N = dout.shape[0]
        self.grads["gamma"] = (dout * self.x_norm).sum(axis=0)
        self.grads["beta"] = dout.sum(axis=0)
        dx_norm = dout * self.gamma
        dvar = (dx_norm * self.x_centered * -0.5 * self.std_inv ** 3).sum(axis=0)
        dmean = (-dx_norm * self.std_inv).sum(axis=0)
        dx = dx_norm * self.std_inv
        dx += dvar * 2 * self.x_centered / N
        dx += dmean / N
        return dx


USE = {
    "inputs": "x=(N=4,D=3) gamma=(D) beta=(D)",
    "forward": "bn = BatchNorm1d(D)\n"
               "bn.gamma, bn.beta = gamma, beta\n"
               "out = bn.forward(x)",
    "backward": "dx = bn.backward(dout)\n"
                "dgamma, dbeta = bn.grads['gamma'], bn.grads['beta']",
}
