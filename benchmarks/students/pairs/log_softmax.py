import numpy as np


def log_softmax_forward(logits):
    m = logits.max(axis=-1, keepdims=True)
    lse = m + np.log(np.exp(logits - m).sum(axis=-1, keepdims=True))
    logp = logits - lse
    return logp, logp


def log_softmax_backward(dlogp, logp):
    p = np.exp(logp)
    dlogits = dlogp - p * dlogp.sum(axis=-1, keepdims=True)
    return dlogits


USE = {
    "inputs": "logits=(B=2,T=3,V=5)",
    "forward": "out, cache = log_softmax_forward(logits)",
    "backward": "dlogits = log_softmax_backward(dout, cache)",
}
