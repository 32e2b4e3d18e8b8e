import numpy as np


def autoencoder_loss(params, X):
    """Encoder and decoder share one matrix (tied weights)."""
    W, b, c = params["W"], params["b"], params["c"]
    N = X.shape[0]
    h = 1 / (1 + np.exp(-(X @ W + b)))
    X_hat = h @ W.T + c
    err = X_hat - X
    loss = 0.5 * np.sum(err ** 2) / N

    dX_hat = err / N
    dc = dX_hat.sum(axis=0)
    dW_dec = dX_hat.T @ h
    dh = dX_hat @ W
    dz = dh * h * (1 - h)
    dW_enc = X.T @ dz
    db = dz.sum(axis=0)
    return loss, {"W": dW_enc + dW_dec, "b": db, "c": dc}


USE = {
    "inputs": "W=(D=5,H=3) b=(H) c=(D) X=const(N=4,D)",
    "forward": "out, grads = autoencoder_loss({'W': W, 'b': b, 'c': c}, X)",
    "backward": "dW, db, dc = grads['W'], grads['b'], grads['c']",
}
