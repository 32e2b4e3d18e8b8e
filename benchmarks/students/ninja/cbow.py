import numpy as np


def cbow(E, O, b, context, center):
    """The mean of the context's vectors predicts the word in the middle."""
    n, w = context.shape
    vecs = E[context]
    mean = vecs.sum(1) / w
    logits = mean @ O.T + b
    shifted = logits - logits.max(1, keepdims=True)
    expd = np.exp(shifted)
    norm = expd.sum(1, keepdims=True)
    probs = expd / norm
    loss = -np.log(probs[np.arange(n), center]).sum() / n

    dlogits = probs
    dlogits[np.arange(n), center] -= 1
    dlogits /= n
    db = dlogits.sum(0)
    dO = dlogits.T @ mean
    dmean = dlogits @ O
    dvecs = np.repeat(dmean[:, None, :], w, axis=1) / w
    dE = np.zeros_like(E)
    np.add.at(dE, context, dvecs)
    return loss, dE, dO, db


USE = {
    "inputs": "E=(V=6,D=3) O=(V,D) b=(V) context=ids(N=5,W=4)<V center=ids(N)<V",
    "forward": "out, *grads = cbow(E, O, b, context, center)",
    "backward": "dE, dO, db = grads",
}
