import numpy as np


def hmm_nll(logA, logB, logpi, obs):
    """-log p(obs) of a hidden Markov model by the forward recursion, gradient by going back."""
    def lse(a, axis):
        m = a.max(axis=axis, keepdims=True)
        return (m + np.log(np.exp(a - m).sum(axis=axis, keepdims=True))).squeeze(axis)

    T, S = len(obs), len(logpi)
    alpha = np.zeros((T, S))
    alpha[0] = logpi + logB[:, obs[0]]
    for t in range(1, T):
        alpha[t] = lse(alpha[t - 1][:, None] + logA, 0) + logB[:, obs[t]]
    ll = lse(alpha[-1], 0)

    dA, dB, dpi = np.zeros_like(logA), np.zeros_like(logB), np.zeros_like(logpi)
    dalpha = np.exp(alpha[-1] - ll)
    for t in range(T - 1, 0, -1):
        dB[:, obs[t]] += dalpha
        scores = alpha[t - 1][:, None] + logA
        w = np.exp(scores - lse(scores, 0)[None, :])
        dscores = w * dalpha[None, :]
        dA += dscores
        dalpha = dscores.sum(axis=1)
    dB[:, obs[0]] += dalpha
    dpi += dalpha
    return -ll, {"A": -dA, "B": -dB, "pi": -dpi}


USE = {
    "inputs": "logA=(S=3,S) logB=(S,O=4) logpi=(S) obs=ids(T=5)<O",
    "forward": "out, grads = hmm_nll(logA, logB, logpi, obs)",
    "backward": "dlogA, dlogB, dlogpi = grads['A'], grads['B'], grads['pi']",
}
