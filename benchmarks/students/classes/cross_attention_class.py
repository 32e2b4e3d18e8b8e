import numpy as np


class CrossAttention:
    """Queries from the decoder, keys and values from the encoder; padding is masked out."""

    def __init__(self, scale=None):
        self.scale = scale

    def forward(self, q, k, v, visible):
        s = self.scale or 1 / np.sqrt(q.shape[-1])
        scores = np.einsum("btd,bsd->bts", q, k) * s
        scores = np.where(visible[:, None, :], scores, -np.inf)
        w = np.exp(scores - scores.max(axis=2, keepdims=True))
        w = w / w.sum(axis=2, keepdims=True)
        self.saved = q, k, v, w, s
        return np.einsum("bts,bse->bte", w, v)

    def backward(self, dout):
        q, k, v, w, s = self.saved
        dv = np.einsum("bts,bte->bse", w, dout)
        dw = np.einsum("bte,bse->bts", dout, v)
        dscores = w * (dw - np.sum(w * dw, axis=2, keepdims=True))
        dq = s * np.einsum("bts,bsd->btd", dscores, k)
        dk = s * np.einsum("bts,btd->bsd", dscores, q)
        return dq, dk, dv


USE = {
    "inputs": "q=(B=2,T=3,D=4) k=(B,S=5,D) v=(B,S,E=6) visible=keep(B,S)",
    "forward": "att = CrossAttention()\nout = att.forward(q, k, v, visible)",
    "backward": "dq, dk, dv = att.backward(dout)",
}
