import numpy as np


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


class GRUCell:
    def __init__(self, params):
        self.p = params      # Wz, Wr, Wn, Uz, Ur, Un
        self.g = {}

    def forward(self, x, h):
        p = self.p
        self.x, self.h = x, h
        self.z = sigmoid(x @ p["Wz"] + h @ p["Uz"])
        self.r = sigmoid(x @ p["Wr"] + h @ p["Ur"])
        self.rh = self.r * h
        self.n = np.tanh(x @ p["Wn"] + self.rh @ p["Un"])
        return (1 - self.z) * self.n + self.z * h

    def backward(self, dh_new):
        p, g, x, h = self.p, self.g, self.x, self.h
        dz = dh_new * (h - self.n)
        dn = dh_new * (1 - self.z)
        dh = dh_new * self.z
        dn_in = dn * (1 - self.n ** 2)
        drh = dn_in @ p["Un"].T
        dr = drh * h
        dh = dh + drh * self.r
        dz_in = dz * self.z * (1 - self.z)
        dr_in = dr * self.r * (1 - self.r)
        dh = dh + dz_in @ p["Uz"].T + dr_in @ p["Ur"].T
        dx = dz_in @ p["Wz"].T + dr_in @ p["Wr"].T + dn_in @ p["Wn"].T
        g["Wz"], g["Wr"], g["Wn"] = x.T @ dz_in, x.T @ dr_in, x.T @ dn_in
        g["Uz"], g["Ur"], g["Un"] = h.T @ dz_in, h.T @ dr_in, self.rh.T @ dn_in
        return dx, dh


USE = {
    "inputs": "x=(N=2,D=3) h=(N,H=4) Wz=(D,H) Wr=(D,H) Wn=(D,H) Uz=(H,H) Ur=(H,H) Un=(H,H)",
    "forward": "cell = GRUCell({'Wz': Wz, 'Wr': Wr, 'Wn': Wn, 'Uz': Uz, 'Ur': Ur, 'Un': Un})\n"
               "out = cell.forward(x, h)",
    "backward": "dx, dh = cell.backward(dout)\n"
                "dWz, dWr, dWn = cell.g['Wz'], cell.g['Wr'], cell.g['Wn']\n"
                "dUz, dUr, dUn = cell.g['Uz'], cell.g['Ur'], cell.g['Un']",
}
