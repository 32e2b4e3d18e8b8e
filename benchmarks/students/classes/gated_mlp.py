import numpy as np


def silu(x):
    return x / (1 + np.exp(-x))


def silu_prime(x):
    s = 1 / (1 + np.exp(-x))
    return s * (1 + x * (1 - s))


class GatedMLP:
    def __init__(self, w_gate, w_up, w_down):
        self.w_gate, self.w_up, self.w_down = w_gate, w_up, w_down

    def forward(self, x):
        self.x = x
        self.gate = x @ self.w_gate
        self.up = x @ self.w_up
        self.act = silu(self.gate)
        self.h = self.act * self.up
        return self.h @ self.w_down

    def backward(self, dout):
        self.dw_down = self.h.T @ dout
        dh = dout @ self.w_down.T
        dup = dh * self.act
        dact = dh * self.up
        dgate = dact * silu_prime(self.gate)
        self.dw_up = self.x.T @ dup
        self.dw_gate = self.x.T @ dgate
        return dup @ self.w_up.T + dgate @ self.w_gate.T


USE = {
    "inputs": "x=(N=3,D=4) w_gate=(D,F=5) w_up=(D,F) w_down=(F,D)",
    "forward": "mlp = GatedMLP(w_gate, w_up, w_down)\nout = mlp.forward(x)",
    "backward": "dx = mlp.backward(dout)\n"
                "dw_gate, dw_up, dw_down = mlp.dw_gate, mlp.dw_up, mlp.dw_down",
}
