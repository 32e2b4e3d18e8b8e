import numpy as np


def train_loss(model, X, Y, weight_decay):
    """model is {'linear': {'W': .., 'b': ..}}, Y is one-hot."""
    W, b = model["linear"]["W"], model["linear"]["b"]
    n = X.shape[0]
    z = X @ W + b
    z = z - z.max(axis=1, keepdims=True)
    prob = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    loss = -np.sum(Y * np.log(prob)) / n + 0.5 * weight_decay * np.sum(W ** 2)
    dz = (prob - Y) / n
    grads = {"linear": {}}
    grads["linear"]["W"] = X.T @ dz + weight_decay * W
    grads["linear"]["b"] = dz.sum(axis=0)
    return loss, grads


USE = {
    "inputs": "W=(D=4,C=3) b=(C) X=const(N=5,D) Y=onehot(N,C)",
    "forward": "out, grads = train_loss({'linear': {'W': W, 'b': b}}, X, Y, 0.3)",
    "backward": "dW, db = grads['linear']['W'], grads['linear']['b']",
}
