import numpy as np


def vae_loss(params, x, noise):
    """One linear layer for the mean, one for the log variance, one for the decoder."""
    Wm, Wv, Wd = params["Wm"], params["Wv"], params["Wd"]
    B = x.shape[0]
    mu = x @ Wm
    logvar = x @ Wv
    std = np.exp(0.5 * logvar)
    z = mu + std * noise
    recon = z @ Wd
    rec_loss = np.sum((recon - x) ** 2) / B
    kl = -0.5 * np.sum(1 + logvar - mu ** 2 - np.exp(logvar)) / B
    loss = rec_loss + kl

    drecon = 2 * (recon - x) / B
    dWd = z.T @ drecon
    dz = drecon @ Wd.T
    dmu = dz + mu / B
    dstd = dz * noise
    dlogvar = dstd * 0.5 * std
    dlogvar += 0.5 * (np.exp(logvar) - 1) / B
    dWm = x.T @ dmu
    dWv = x.T @ dlogvar
    return loss, {"Wm": dWm, "Wv": dWv, "Wd": dWd}


USE = {
    "inputs": "Wm=(D=4,Z=2) Wv=(D,Z) Wd=(Z,D) x=const(B=3,D) noise=const(B,Z)",
    "forward": "out, grads = vae_loss({'Wm': Wm, 'Wv': Wv, 'Wd': Wd}, x, noise)",
    "backward": "dWm, dWv, dWd = grads['Wm'], grads['Wv'], grads['Wd']",
}
