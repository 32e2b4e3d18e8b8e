import numpy as np


def mf_loss(P, Q, R, seen, lam=0.1):
    """Ratings R (users, items), of which only some were given."""
    E = (P @ Q.T - R) * seen
    loss = np.sum(E ** 2) + lam * (np.sum(P ** 2) + np.sum(Q ** 2))
    gP = 2 * E @ Q + 2 * lam * P
    gQ = 2 * E.T @ P + 2 * lam * Q
    return loss, (gP, gQ)


USE = {
    "inputs": "P=(U=4,K=2) Q=(I=5,K) R=const(U,I) seen=bits(U,I)",
    "forward": "out, grads = mf_loss(P, Q, R, seen)",
    "backward": "dP, dQ = grads",
}
