import numpy as np


def cross_entropy_by_hand(logits, targets):
    n = logits.shape[0]
    m = logits.max(1, keepdims=True)
    z = logits - m
    e = np.exp(z)
    s = e.sum(1, keepdims=True)
    logs = np.log(s)
    logp = z - logs
    picked = logp[np.arange(n), targets]
    loss = -picked.mean()

    dpicked = -np.ones(n) / n
    dlogp = np.zeros_like(logp)
    dlogp[np.arange(n), targets] = dpicked
    dz = dlogp.copy()
    dlogs = -dlogp.sum(1, keepdims=True)
    ds = dlogs / s
    de = np.ones_like(e) * ds
    dz += de * e
    dlogits = dz - (logits == m) * dz.sum(1, keepdims=True)
    return loss, dlogits


USE = {
    "inputs": "logits=(N=4,V=6) targets=ids(N)<V",
    "forward": "out, grad = cross_entropy_by_hand(logits, targets)",
    "backward": "dlogits = grad",
}
