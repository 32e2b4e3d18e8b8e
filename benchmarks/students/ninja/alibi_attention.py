import numpy as np


def alibi_head(q, k, v, slope):
    """Causal attention in which a distance of one step costs `slope`."""
    T, D = q.shape
    i, j = np.arange(T)[:, None], np.arange(T)[None, :]
    dist = (i - j).astype(float)
    raw = q @ k.T
    scaled = raw * D ** -0.5
    biased = scaled - slope * dist
    masked = np.where(j <= i, biased, -1e9)
    e = np.exp(masked - masked.max(1, keepdims=True))
    z = e.sum(1, keepdims=True)
    w = e / z
    y = w @ v

    def backward(dy):
        dw = dy @ v.T
        dv = w.T @ dy
        de = dw / z
        dz = -(dw * e).sum(1, keepdims=True) / z ** 2
        de += dz
        dmasked = de * e
        dbiased = np.where(j <= i, dmasked, 0)
        dslope = -(dbiased * dist).sum()
        draw = dbiased * D ** -0.5
        dq = draw @ k
        dk = draw.T @ q
        return dq, dk, dv, dslope

    return y, backward


USE = {
    "inputs": "q=(T=3,D=4) k=(T,D) v=(T,E=5) slope=positive()",
    "forward": "out, back = alibi_head(q, k, v, slope)",
    "backward": "dq, dk, dv, dslope = back(dout)",
}
