import numpy as np

# name: (function, its derivative at the input z)
ACTIVATIONS = {
    "tanh": (lambda z: np.tanh(z), lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "swish": (lambda z: z / (1 + np.exp(-z)),
              lambda z: (1 + np.exp(-z) + z * np.exp(-z)) / (1 + np.exp(-z)) ** 2),
}


def dense_forward(A_prev, W, b, activation="tanh"):
    g, _ = ACTIVATIONS[activation]
    Z = W @ A_prev + b               # one column per example
    return g(Z), (A_prev, W, Z, activation)


def dense_backward(dA, cache):
    A_prev, W, Z, activation = cache
    _, g_prime = ACTIVATIONS[activation]
    dZ = dA * g_prime(Z)
    dA_prev = W.T @ dZ
    dW = dZ @ A_prev.T
    db = np.sum(dZ, axis=1, keepdims=True)
    return dA_prev, dW, db


USE = {
    "inputs": "A_prev=(D=3,M=4) W=(H=5,D) b=(H,1)",
    "forward": "out, cache = dense_forward(A_prev, W, b, 'swish')",
    "backward": "dA_prev, dW, db = dense_backward(dout, cache)",
}
