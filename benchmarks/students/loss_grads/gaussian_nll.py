import numpy as np


def gaussian_nll(mu, log_sigma, y):
    sigma = np.exp(log_sigma)
    z = (y - mu) / sigma
    nll = 0.5 * z ** 2 + log_sigma + 0.5 * np.log(2 * np.pi)
    n = y.size
    dmu = -z / sigma / n
    dlog_sigma = (1 - z ** 2) / n
    return nll.mean(), {"mu": dmu, "log_sigma": dlog_sigma}


USE = {
    "inputs": "mu=(N=4,D=3) log_sigma=(N,D) y=const(N,D)",
    "forward": "out, grads = gaussian_nll(mu, log_sigma, y)",
    "backward": "dmu, dlog_sigma = grads['mu'], grads['log_sigma']",
}
