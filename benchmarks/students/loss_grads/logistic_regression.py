import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss_and_grads(params, X, y):
    """Binary cross-entropy, the textbook way: m examples, labels 0 or 1."""
    m = X.shape[0]
    w, b = params["w"], params["b"]
    a = sigmoid(X @ w + b)
    cost = -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a)) / m
    dz = a - y
    dw = X.T @ dz / m
    db = np.sum(dz) / m
    return cost, {"w": dw, "b": db}


USE = {
    "inputs": "w=(D=3) b=() X=const(M=5,D) y=bits(M)",
    "forward": "out, grads = loss_and_grads({'w': w, 'b': b}, X, y)",
    "backward": "dw, db = grads['w'], grads['b']",
}
