import numpy as np


def train_step(C, W1, b1, gain, shift, W2, b2, Xb, Yb):
    """Three characters in, the next one out; every intermediate has its own gradient."""
    n, ctx = Xb.shape
    # forward
    emb = C[Xb]
    embcat = emb.reshape(n, -1)
    hprebn = embcat @ W1 + b1
    bnmean = hprebn.mean(0, keepdims=True)
    bndiff = hprebn - bnmean
    bndiff2 = bndiff ** 2
    bnvar = bndiff2.sum(0, keepdims=True) / (n - 1)   # with Bessel's correction
    bnvar_inv = (bnvar + 1e-5) ** -0.5
    bnraw = bndiff * bnvar_inv
    hpreact = gain * bnraw + shift
    h = np.tanh(hpreact)
    logits = h @ W2 + b2
    logit_maxes = logits.max(1, keepdims=True)
    norm_logits = logits - logit_maxes
    counts = np.exp(norm_logits)
    counts_sum = counts.sum(1, keepdims=True)
    counts_sum_inv = counts_sum ** -1
    probs = counts * counts_sum_inv
    logprobs = np.log(probs)
    loss = -logprobs[range(n), Yb].mean()

    # backward
    dlogprobs = np.zeros_like(logprobs)
    dlogprobs[range(n), Yb] = -1.0 / n
    dprobs = dlogprobs / probs
    dcounts_sum_inv = (counts * dprobs).sum(1, keepdims=True)
    dcounts = counts_sum_inv * dprobs
    dcounts_sum = -counts_sum ** -2 * dcounts_sum_inv
    dcounts += np.ones_like(counts) * dcounts_sum
    dnorm_logits = counts * dcounts
    dlogits = dnorm_logits.copy()
    dlogit_maxes = -dnorm_logits.sum(1, keepdims=True)
    dlogits += np.eye(logits.shape[1])[logits.argmax(1)] * dlogit_maxes
    dh = dlogits @ W2.T
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    dhpreact = (1.0 - h ** 2) * dh
    dgain = (bnraw * dhpreact).sum(0, keepdims=True)
    dshift = dhpreact.sum(0, keepdims=True)
    dbnraw = gain * dhpreact
    dbndiff = bnvar_inv * dbnraw
    dbnvar_inv = (bndiff * dbnraw).sum(0, keepdims=True)
    dbnvar = -0.5 * (bnvar + 1e-5) ** -1.5 * dbnvar_inv
    dbndiff2 = 1.0 / (n - 1) * np.ones_like(bndiff2) * dbnvar
    dbndiff += 2 * bndiff * dbndiff2
    dhprebn = dbndiff.copy()
    dbnmean = -dbndiff.sum(0, keepdims=True)
    dhprebn += 1.0 / n * np.ones_like(hprebn) * dbnmean
    dembcat = dhprebn @ W1.T
    dW1 = embcat.T @ dhprebn
    db1 = dhprebn.sum(0)
    demb = dembcat.reshape(emb.shape)
    dC = np.zeros_like(C)
    for k in range(n):
        for j in range(ctx):
            dC[Xb[k, j]] += demb[k, j]
    return loss, [dC, dW1, db1, dgain, dshift, dW2, db2]


USE = {
    "inputs": "C=(V=6,E=2) W1=(F=8,H=5) b1=(H) gain=(1,H) shift=(1,H) W2=(H,V) b2=(V) "
              "Xb=ids(N=3,X=4)<V Yb=ids(N)<V",
    "forward": "out, grads = train_step(C, W1, b1, gain, shift, W2, b2, Xb, Yb)",
    "backward": "dC, dW1, db1, dgain, dshift, dW2, db2 = grads",
}
