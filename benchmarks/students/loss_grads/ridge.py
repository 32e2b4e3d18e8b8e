import numpy as np


def ridge(w, x, y, lam):
    """Polynomial regression by mean squared error, with a penalty on all but the constant."""
    degree = len(w)
    A = np.vander(x, degree, increasing=True)
    residual = A @ w - y
    mse = residual @ residual / len(y)
    penalty = lam * np.sum(w[1:] ** 2)
    grad = 2 * A.T @ residual / len(y)
    grad[1:] += 2 * lam * w[1:]
    return mse + penalty, grad


USE = {
    "inputs": "w=(D=4) x=const(N=6) y=const(N)",
    "forward": "out, grad = ridge(w, x, y, 0.2)",
    "backward": "dw = grad",
}
