import numpy as np


# everything (B, T, D) with T positions that all see each other
def forward(q, k, v):
    w = np.einsum("bid,bjd->bij", q, k) * q.shape[2] ** -0.5
    w = np.exp(w)
    w /= w.sum(2, keepdims=True)
    return np.einsum("bij,bjd->bid", w, v), (q, k, v, w)


def backward(dy, cache):
    q, k, v, w = cache
    dw = np.einsum("bid,bjd->bij", dy, v)
    dv = np.einsum("bij,bid->bjd", w, dy)
    ds = w * (dw - np.einsum("bij,bij->bi", dw, w)[:, :, None])
    ds *= q.shape[2] ** -0.5
    dq = np.einsum("bij,bjd->bid", ds, k)
    dk = np.einsum("bij,bid->bjd", ds, q)
    return dq, dk, dv


USE = {
    "inputs": "q=(B=2,T=4,D=3) k=(B,T,D) v=(B,T,D)",
    "forward": "out, cache = forward(q, k, v)",
    "backward": "dq, dk, dv = backward(dout, cache)",
}
