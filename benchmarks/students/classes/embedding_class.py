import numpy as np


class Embedding:
    """Token table plus learned positions."""

    def __init__(self, tok, pos):
        self.tok, self.pos = tok, pos

    def forward(self, ids):
        self.ids = ids
        T = ids.shape[1]
        return self.tok[ids] + self.pos[:T]

    def backward(self, dout):
        self.dtok = np.zeros_like(self.tok)
        for b in range(self.ids.shape[0]):
            for t in range(self.ids.shape[1]):
                self.dtok[self.ids[b, t]] += dout[b, t]
        self.dpos = np.zeros_like(self.pos)
        self.dpos[:self.ids.shape[1]] = dout.sum(axis=0)


USE = {
    "inputs": "tok=(V=6,D=5) pos=(P=4,D) ids=ids(B=2,T=3)<V",
    "forward": "emb = Embedding(tok, pos)\nout = emb.forward(ids)",
    "backward": "emb.backward(dout)\ndtok, dpos = emb.dtok, emb.dpos",
}
