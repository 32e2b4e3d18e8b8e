import numpy as np


def focal_loss(z, y, gamma=2.0, alpha=0.25):
    """Binary focal loss on logits z with labels y in {0, 1}."""
    p = 1 / (1 + np.exp(-z))
    pt = np.where(y == 1, p, 1 - p)
    at = np.where(y == 1, alpha, 1 - alpha)
    loss = -at * (1 - pt) ** gamma * np.log(pt)
    dpt = at * gamma * (1 - pt) ** (gamma - 1) * np.log(pt) - at * (1 - pt) ** gamma / pt
    dz = dpt * pt * (1 - pt)
    dz = np.where(y == 1, dz, -dz)
    return loss.mean(), dz / z.size


USE = {
    "inputs": "z=(N=7) y=bits(N)",
    "forward": "out, grad = focal_loss(z, y)",
    "backward": "dz = grad",
}
