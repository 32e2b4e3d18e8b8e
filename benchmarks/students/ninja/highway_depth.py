import numpy as np


def residual_tower(x, Ws, depth):
    """x <- x + tanh(x W_l), `depth` times; gradients of x and of every W."""
    acts, hid = [x], []
    for l in range(depth):
        t = np.tanh(acts[-1] @ Ws[l])
        hid.append(t)
        acts.append(acts[-1] + t)
    loss = (acts[-1] ** 2).sum() / 2

    dx = acts[-1]
    dWs = np.zeros_like(Ws)
    for l in reversed(range(depth)):
        dt = dx * (1 - hid[l] ** 2)
        dWs[l] = acts[l].T @ dt
        dx = dx + dt @ Ws[l].T
    return loss, dx, dWs


USE = {
    "inputs": "x=(N=3,D=4) Ws=(L=2,D,D)",
    "forward": "out, *grads = residual_tower(x, Ws, L)",
    "backward": "dx, dWs = grads",
}
