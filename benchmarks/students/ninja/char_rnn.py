import numpy as np


def loss_fun(Wxh, Whh, Why, bh, by, hprev, inputs, targets):
    """Characters one by one, hidden state as a column; the sum of the losses of all steps."""
    V = by.shape[0]
    xs, hs, ps = {}, {}, {}
    hs[-1] = hprev
    loss = 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((V, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        y = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(y) / np.sum(np.exp(y))
        loss += -np.log(ps[t][targets[t], 0])

    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby = np.zeros_like(bh), np.zeros_like(by)
    dhnext = np.zeros_like(hprev)
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        dWhy += np.dot(dy, hs[t].T)
        dby += dy
        dh = np.dot(Why.T, dy) + dhnext
        dhraw = (1 - hs[t] * hs[t]) * dh
        dbh += dhraw
        dWxh += np.dot(dhraw, xs[t].T)
        dWhh += np.dot(dhraw, hs[t - 1].T)
        dhnext = np.dot(Whh.T, dhraw)
    return loss, dWxh, dWhh, dWhy, dbh, dby


USE = {
    "inputs": "Wxh=(H=3,V=5) Whh=(H,H) Why=(V,H) bh=(H,1) by=(V,1) hprev=const(H,1) "
              "inputs=ids(T=4)<V targets=ids(T)<V",
    "forward": "out, *grads = loss_fun(Wxh, Whh, Why, bh, by, hprev, inputs, targets)",
    "backward": "dWxh, dWhh, dWhy, dbh, dby = grads",
}
