import numpy as np


def softmax(a):
    e = np.exp(a - a.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class SelfAttention:
    """One head, causal, with square projections."""

    def __init__(self, Wq, Wk, Wv, Wo):
        self.Wq, self.Wk, self.Wv, self.Wo = Wq, Wk, Wv, Wo

    def forward(self, x):
        T, D = x.shape
        self.x = x
        self.q, self.k, self.v = x @ self.Wq, x @ self.Wk, x @ self.Wv
        scores = self.q @ self.k.T / np.sqrt(D)
        hidden = np.triu(np.ones((T, T)), k=1).astype(bool)
        scores[hidden] = -np.inf
        self.att = softmax(scores)
        self.y = self.att @ self.v
        return self.y @ self.Wo

    def backward(self, dout):
        x, D = self.x, self.x.shape[1]
        self.dWo = self.y.T @ dout
        dy = dout @ self.Wo.T
        datt = dy @ self.v.T
        dv = self.att.T @ dy
        dscores = self.att * (datt - (datt * self.att).sum(-1, keepdims=True))
        dscores /= np.sqrt(D)
        dq = dscores @ self.k
        dk = dscores.T @ self.q
        self.dWq, self.dWk, self.dWv = x.T @ dq, x.T @ dk, x.T @ dv
        dx = dq @ self.Wq.T + dk @ self.Wk.T + dv @ self.Wv.T
        return dx


USE = {
    "inputs": "x=(T=3,D=4) Wq=(D,D) Wk=(D,D) Wv=(D,D) Wo=(D,D)",
    "forward": "head = SelfAttention(Wq, Wk, Wv, Wo)\nout = head.forward(x)",
    "backward": "dx = head.backward(dout)\n"
                "dWq, dWk, dWv, dWo = head.dWq, head.dWk, head.dWv, head.dWo",
}
