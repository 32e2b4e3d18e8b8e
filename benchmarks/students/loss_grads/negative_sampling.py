import numpy as np


def skipgram_loss(U, V, center, context, negatives):
    """Word vectors U and context vectors V; one true context and some drawn ones per centre."""
    sig = lambda s: 1 / (1 + np.exp(-s))
    u = U[center]                       # (B, D)
    vp = V[context]                     # (B, D)
    vn = V[negatives]                   # (B, K, D)
    sp = np.sum(u * vp, axis=1)
    sn = np.einsum("bd,bkd->bk", u, vn)
    B = len(center)
    loss = -(np.log(sig(sp)).sum() + np.log(sig(-sn)).sum()) / B
    dsp = (sig(sp) - 1) / B
    dsn = sig(sn) / B
    dU, dV = np.zeros_like(U), np.zeros_like(V)
    du = dsp[:, None] * vp + np.einsum("bk,bkd->bd", dsn, vn)
    np.add.at(dU, center, du)
    np.add.at(dV, context, dsp[:, None] * u)
    np.add.at(dV, negatives, dsn[:, :, None] * u[:, None, :])
    return loss, (dU, dV)


USE = {
    "inputs": "U=(W=6,D=2) V=(W,D) center=ids(B=5)<W context=ids(B)<W negatives=ids(B,K=3)<W",
    "forward": "out, grads = skipgram_loss(U, V, center, context, negatives)",
    "backward": "dU, dV = grads",
}
