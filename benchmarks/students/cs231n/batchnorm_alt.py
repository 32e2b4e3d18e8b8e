import numpy as np


def batchnorm_forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    if bn_param["mode"] == "train":
        mean, var = x.mean(0), x.var(0)
        bn_param["running_mean"] = 0.9 * bn_param.get("running_mean", 0) + 0.1 * mean
        bn_param["running_var"] = 0.9 * bn_param.get("running_var", 0) + 0.1 * var
    else:
        mean, var = bn_param["running_mean"], bn_param["running_var"]
    std = np.sqrt(var + eps)
    xhat = (x - mean) / std
    cache = {"xhat": xhat, "std": std, "gamma": gamma}
    return gamma * xhat + beta, cache


def batchnorm_backward_alt(dout, cache):
    xhat, std, gamma = cache["xhat"], cache["std"], cache["gamma"]
    N = dout.shape[0]
    dbeta = dout.sum(0)
    dgamma = (xhat * dout).sum(0)
    dx = gamma / (N * std) * (N * dout - dbeta - xhat * dgamma)
    return dx, dgamma, dbeta


USE = {
    "inputs": "x=(N=5,D=3) gamma=(D) beta=(D)",
    "forward": "out, cache = batchnorm_forward(x, gamma, beta, {'mode': 'train'})",
    "backward": "dx, dgamma, dbeta = batchnorm_backward_alt(dout, cache)",
}
