import numpy as np


def linear_svm(w, b, X, y, C=1.0):
    """Labels are +1 and -1; squared hinge and an L2 penalty on w only."""
    n = len(y)
    margin = 1 - y * (X @ w + b)
    slack = np.maximum(0, margin)
    loss = 0.5 * w @ w + C * np.sum(slack ** 2) / n
    dw = w - 2 * C * X.T @ (slack * y) / n
    db = -2 * C * np.sum(slack * y) / n
    return loss, dw, db


USE = {
    "inputs": "w=(D=3) b=() X=const(N=6,D) y=signs(N)",
    "forward": "out, gw, gb = linear_svm(w, b, X, y, C=0.5)",
    "backward": "dw, db = gw, gb",
}
