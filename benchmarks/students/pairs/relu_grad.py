import numpy as np


def relu(x):
    return np.maximum(0, x)


def relu_grad(dA, Z):
    dZ = np.array(dA, copy=True)
    dZ[Z <= 0] = 0
    return dZ


def layer(x, W):
    """One layer with ReLU; keeps what the way back needs."""
    z = x @ W
    a = relu(z)
    return a, {"x": x, "W": W, "z": z}


def layer_grad(da, cache):
    dz = relu_grad(da, cache["z"])
    dx = dz @ cache["W"].T
    dW = cache["x"].T @ dz
    return dx, dW


USE = {
    "inputs": "x=(N=4,D=3) W=(D,H=5)",
    "forward": "out, cache = layer(x, W)",
    "backward": "dx, dW = layer_grad(dout, cache)",
}
