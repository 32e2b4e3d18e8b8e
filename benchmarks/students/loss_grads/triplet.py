import numpy as np


def triplet_loss(anchor, positive, negative, margin=1.0):
    d_pos = np.sum((anchor - positive) ** 2, axis=1)
    d_neg = np.sum((anchor - negative) ** 2, axis=1)
    hinge = np.maximum(0, d_pos - d_neg + margin)
    N = len(anchor)
    active = (hinge > 0).astype(float)[:, None] / N
    grads = {
        "anchor": active * 2 * (negative - positive),
        "positive": active * 2 * (positive - anchor),
        "negative": active * 2 * (anchor - negative),
    }
    return hinge.sum() / N, grads


USE = {
    "inputs": "anchor=(N=6,D=3) pos=(N,D) neg=(N,D)",
    "forward": "out, grads = triplet_loss(anchor, pos, neg)",
    "backward": "danchor, dpos, dneg = grads['anchor'], grads['positive'], grads['negative']",
}
