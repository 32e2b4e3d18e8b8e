import numpy as np


def convnet(K, W, b, img, label):
    """One filter bank, ReLU, global average, linear, cross-entropy on one image."""
    C, H, Wd = img.shape
    F, _, k, _ = K.shape
    oh, ow = H - k + 1, Wd - k + 1
    conv = np.zeros((F, oh, ow))
    for i in range(k):
        for j in range(k):
            conv += np.einsum("fc,chw->fhw", K[:, :, i, j], img[:, i:i + oh, j:j + ow])
    act = np.maximum(conv, 0)
    feat = act.mean(axis=(1, 2))
    logits = feat @ W + b
    e = np.exp(logits - logits.max())
    probs = e / e.sum()
    loss = -np.log(probs[label])

    dlogits = probs.copy()
    dlogits[label] -= 1
    db = dlogits
    dW = np.outer(feat, dlogits)
    dfeat = W @ dlogits
    dact = np.ones_like(act) * dfeat[:, None, None] / (oh * ow)
    dconv = dact * (conv > 0)
    dK = np.zeros_like(K)
    for i in range(k):
        for j in range(k):
            dK[:, :, i, j] = np.einsum("fhw,chw->fc", dconv, img[:, i:i + oh, j:j + ow])
    return loss, dK, dW, db


USE = {
    "seed": 1,
    "inputs": "K=(F=4,C=2,S=3,S) W=(F,M=5) b=(M) img=const(C,H=6,L=7) labels=ids(1)<M",
    "forward": "out, *grads = convnet(K, W, b, img, labels[0])",
    "backward": "dK, dW, db = grads",
}
