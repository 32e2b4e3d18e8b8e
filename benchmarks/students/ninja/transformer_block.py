import numpy as np


def block(x, g1, Wq, Wk, Wv, g2, Wu, Wd):
    """Norm, causal head, shortcut, norm, ReLU feed-forward, shortcut; then all of it backwards."""
    T, D = x.shape
    # --- forward
    m1 = x.mean(-1, keepdims=True)
    r1 = 1 / np.sqrt(((x - m1) ** 2).mean(-1, keepdims=True) + 1e-5)
    n1 = (x - m1) * r1
    a = n1 * g1
    q, k, v = a @ Wq, a @ Wk, a @ Wv
    s = q @ k.T / np.sqrt(D)
    s = np.where(np.tril(np.ones((T, T))) > 0, s, -np.inf)
    p = np.exp(s - s.max(-1, keepdims=True))
    p = p / p.sum(-1, keepdims=True)
    x2 = x + p @ v
    m2 = x2.mean(-1, keepdims=True)
    r2 = 1 / np.sqrt(((x2 - m2) ** 2).mean(-1, keepdims=True) + 1e-5)
    n2 = (x2 - m2) * r2
    c = n2 * g2
    u = c @ Wu
    h = np.maximum(u, 0)
    out = x2 + h @ Wd

    def backward(dout):
        dh = dout @ Wd.T
        dWd = h.T @ dout
        du = dh * (u > 0)
        dc = du @ Wu.T
        dWu = c.T @ du
        dg2 = (dc * n2).sum(0)
        dn2 = dc * g2
        dx2 = r2 * (dn2 - dn2.mean(-1, keepdims=True) - n2 * (dn2 * n2).mean(-1, keepdims=True))
        dx2 += dout
        dp = dx2 @ v.T
        dv = p.T @ dx2
        ds = p * (dp - (dp * p).sum(-1, keepdims=True)) / np.sqrt(D)
        dq = ds @ k
        dk = ds.T @ q
        da = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
        dWq, dWk, dWv = a.T @ dq, a.T @ dk, a.T @ dv
        dg1 = (da * n1).sum(0)
        dn1 = da * g1
        dx = r1 * (dn1 - dn1.mean(-1, keepdims=True) - n1 * (dn1 * n1).mean(-1, keepdims=True))
        dx += dx2
        return dx, dg1, dWq, dWk, dWv, dg2, dWu, dWd

    return out, backward


USE = {
    "inputs": "x=(T=3,D=4) g1=(D) Wq=(D,D) Wk=(D,D) Wv=(D,D) g2=(D) Wu=(D,F=5) Wd=(F,D)",
    "forward": "out, back = block(x, g1, Wq, Wk, Wv, g2, Wu, Wd)",
    "backward": "dx, dg1, dWq, dWk, dWv, dg2, dWu, dWd = back(dout)",
}
