import numpy as np


def siamese_loss(x1, x2, same, margin=2.0):
    """Pulls equal pairs together, pushes others apart up to a margin."""
    diff = x1 - x2
    dist = np.sqrt((diff ** 2).sum(axis=1) + 1e-9)
    gap = np.maximum(margin - dist, 0)
    loss = np.mean(same * dist ** 2 + (1 - same) * gap ** 2)

    ddist = 2 * same * dist - 2 * (1 - same) * gap
    ddist = ddist / len(x1)
    dx1 = (ddist / dist)[:, None] * diff
    return loss, dx1, -dx1


USE = {
    "inputs": "x1=(N=5,D=2) x2=(N,D) same=bits(N)",
    "forward": "out, g1, g2 = siamese_loss(x1, x2, same)",
    "backward": "dx1, dx2 = g1, g2",
}
