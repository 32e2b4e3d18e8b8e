import numpy as np


def svm_loss(scores, y):
    """Multiclass hinge loss with a margin of one."""
    N = scores.shape[0]
    correct = scores[np.arange(N), y]
    margins = np.maximum(0, scores - correct[:, None] + 1.0)
    margins[np.arange(N), y] = 0
    loss = margins.sum() / N
    num_pos = (margins > 0).sum(axis=1)
    dscores = np.zeros_like(scores)
    dscores[margins > 0] = 1
    dscores[np.arange(N), y] -= num_pos
    dscores /= N
    return loss, dscores


USE = {
    "inputs": "scores=(N=4,C=5) y=ids(N)<C",
    "forward": "out, grad = svm_loss(scores, y)",
    "backward": "dscores = grad",
}
