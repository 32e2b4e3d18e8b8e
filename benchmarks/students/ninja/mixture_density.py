import numpy as np


def mixture_nll(logit_pi, mu, log_s, y):
    """Each row is a mixture of K Gaussians; the loss is the mean -log p(y)."""
    n = y.shape[0]
    pmax = logit_pi.max(1, keepdims=True)
    pexp = np.exp(logit_pi - pmax)
    psum = pexp.sum(1, keepdims=True)
    logpi = logit_pi - pmax - np.log(psum)
    pi = pexp / psum
    s = np.exp(log_s)
    u = (y[:, None] - mu) / s
    logn = -0.5 * u ** 2 - log_s - 0.5 * np.log(2 * np.pi)
    joint = logpi + logn
    jmax = joint.max(1, keepdims=True)
    jexp = np.exp(joint - jmax)
    jsum = jexp.sum(1, keepdims=True)
    logp = jmax + np.log(jsum)
    loss = -logp.mean()

    dlogp = -np.ones((n, 1)) / n
    resp = jexp / jsum
    djoint = resp * dlogp
    dlogpi = djoint
    dlogit_pi = dlogpi - pi * dlogpi.sum(1, keepdims=True)
    dlogn = djoint
    du = -u * dlogn
    dmu = -du / s
    dlog_s = -dlogn - du * u
    return loss, dlogit_pi, dmu, dlog_s


USE = {
    "inputs": "logit_pi=(N=4,K=3) mu=(N,K) log_s=(N,K) y=const(N)",
    "forward": "out, *grads = mixture_nll(logit_pi, mu, log_s, y)",
    "backward": "dlogit_pi, dmu, dlog_s = grads",
}
