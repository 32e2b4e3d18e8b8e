import numpy as np


def sig(a):
    return 1 / (1 + np.exp(-a))


def lstm_loss(Wf, Wi, Wc, Wo, xs, y):
    """An LSTM over a whole sequence, its last hidden state against y; [h, x] is stacked."""
    T, D = xs.shape
    H = y.shape[0]
    h, c = np.zeros(H), np.zeros(H)
    tape = []
    for t in range(T):
        hx = np.concatenate([h, xs[t]])
        f, i, o = sig(Wf @ hx), sig(Wi @ hx), sig(Wo @ hx)
        cand = np.tanh(Wc @ hx)
        c_old = c
        c = f * c_old + i * cand
        tc = np.tanh(c)
        h = o * tc
        tape.append((hx, f, i, o, cand, c_old, tc))
    loss = 0.5 * np.sum((h - y) ** 2)

    dWf, dWi, dWc, dWo = (np.zeros_like(W) for W in (Wf, Wi, Wc, Wo))
    dh, dc = h - y, np.zeros(H)
    for hx, f, i, o, cand, c_old, tc in reversed(tape):
        do = dh * tc
        dc = dc + dh * o * (1 - tc ** 2)
        df = dc * c_old
        di = dc * cand
        dcand = dc * i
        zf = df * f * (1 - f)
        zi = di * i * (1 - i)
        zo = do * o * (1 - o)
        zc = dcand * (1 - cand ** 2)
        dWf += np.outer(zf, hx)
        dWi += np.outer(zi, hx)
        dWo += np.outer(zo, hx)
        dWc += np.outer(zc, hx)
        dhx = Wf.T @ zf + Wi.T @ zi + Wo.T @ zo + Wc.T @ zc
        dh = dhx[:H]
        dc = dc * f
    return loss, {"f": dWf, "i": dWi, "c": dWc, "o": dWo}


USE = {
    "inputs": "Wf=(H=3,G=5) Wi=(H,G) Wc=(H,G) Wo=(H,G) xs=const(T=4,D=2) y=const(H)",
    "forward": "out, grads = lstm_loss(Wf, Wi, Wc, Wo, xs, y)",
    "backward": "dWf, dWi, dWc, dWo = grads['f'], grads['i'], grads['c'], grads['o']",
}
