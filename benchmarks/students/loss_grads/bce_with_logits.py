import numpy as np


def bce_with_logits(logits, targets):
    # max(z, 0) - z * t + log(1 + exp(-|z|)), which does not overflow
    loss = np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits)))
    probs = 1 / (1 + np.exp(-logits))
    grad = (probs - targets) / logits.size
    return loss.mean(), grad


USE = {
    "inputs": "logits=(N=4,L=3) targets=bits(N,L)",
    "forward": "out, grad = bce_with_logits(logits, targets)",
    "backward": "dlogits = grad",
}
