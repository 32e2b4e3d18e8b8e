import numpy as np


class MultiHeadAttention:
    def __init__(self, Wqkv, Wo, heads):
        self.Wqkv, self.Wo, self.heads = Wqkv, Wo, heads

    def split(self, a):
        B, T, D = a.shape
        return a.reshape(B, T, self.heads, D // self.heads).transpose(0, 2, 1, 3)

    def merge(self, a):
        B, H, T, d = a.shape
        return a.transpose(0, 2, 1, 3).reshape(B, T, H * d)

    def forward(self, x):
        self.x = x
        q, k, v = np.split(x @ self.Wqkv, 3, axis=-1)
        self.q, self.k, self.v = self.split(q), self.split(k), self.split(v)
        d = self.q.shape[-1]
        s = self.q @ self.k.swapaxes(-1, -2) / np.sqrt(d)
        e = np.exp(s - s.max(-1, keepdims=True))
        self.p = e / e.sum(-1, keepdims=True)
        self.y = self.merge(self.p @ self.v)
        return self.y @ self.Wo

    def backward(self, dout):
        B, T, D = self.x.shape
        self.dWo = self.y.reshape(-1, D).T @ dout.reshape(-1, D)
        dy = self.split(dout @ self.Wo.T)
        dv = self.p.swapaxes(-1, -2) @ dy
        dp = dy @ self.v.swapaxes(-1, -2)
        ds = self.p * (dp - (dp * self.p).sum(-1, keepdims=True))
        ds = ds / np.sqrt(self.q.shape[-1])
        dq = ds @ self.k
        dk = ds.swapaxes(-1, -2) @ self.q
        dqkv = np.concatenate([self.merge(dq), self.merge(dk), self.merge(dv)], axis=-1)
        self.dWqkv = self.x.reshape(-1, D).T @ dqkv.reshape(-1, 3 * D)
        return dqkv @ self.Wqkv.T


USE = {
    "inputs": "x=(B=2,T=3,D=8) Wqkv=(D,E=24) Wo=(D,D)",
    "forward": "mha = MultiHeadAttention(Wqkv, Wo, heads=2)\nout = mha.forward(x)",
    "backward": "dx = mha.backward(dout)\ndWqkv, dWo = mha.dWqkv, mha.dWo",
}
