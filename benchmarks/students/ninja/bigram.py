import numpy as np


def bigram_loss(W, first, second, reg=0.01):
    """Row `first` of W holds the logits of the next character."""
    n, V = len(first), W.shape[1]
    xenc = np.eye(V)[first]
    logits = xenc @ W
    counts = np.exp(logits)
    total = counts.sum(1, keepdims=True)
    probs = counts / total
    nll = -np.log(probs[np.arange(n), second]).mean()
    loss = nll + reg * (W ** 2).mean()

    dlogits = probs.copy()
    dlogits[np.arange(n), second] -= 1
    dlogits = dlogits / n
    dW = xenc.T @ dlogits
    dW = dW + reg * 2 * W / W.size
    return loss, dW


USE = {
    "inputs": "W=(V=5,V) first=ids(N=7)<V second=ids(N)<V",
    "forward": "out, grad = bigram_loss(W, first, second)",
    "backward": "dW = grad",
}
