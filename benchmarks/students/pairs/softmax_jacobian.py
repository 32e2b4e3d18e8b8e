import numpy as np


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def softmax_rows(z):
    return np.array([softmax(row) for row in z])


def softmax_rows_backward(grad_output, z):
    """One Jacobian per row: J[i, j] = s_i (delta_ij - s_j)."""
    grad = np.zeros_like(z)
    for n in range(z.shape[0]):
        s = softmax(z[n]).reshape(-1, 1)
        jacobian = np.diagflat(s) - s @ s.T
        grad[n] = jacobian @ grad_output[n]
    return grad


USE = {
    "inputs": "z=(N=4,K=3)",
    "forward": "out = softmax_rows(z)",
    "backward": "dz = softmax_rows_backward(dout, z)",
}
