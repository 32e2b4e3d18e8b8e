def groupnorm_forward(x, gamma, beta, G, eps=1e-5):
    N, C, L = x.shape
    xg = x.reshape(N, G, C // G * L)
    mu = xg.mean(2, keepdims=True)
    var = ((xg - mu) ** 2).mean(2, keepdims=True)
    istd = (var + eps) ** -0.5
    xhat = ((xg - mu) * istd).reshape(N, C, L)
    out = xhat * gamma[None, :, None] + beta[None, :, None]
    return out, (xhat, istd, gamma, G)


def groupnorm_backward(dout, cache):
    xhat, istd, gamma, G = cache
    N, C, L = dout.shape
    dbeta = dout.sum((0, 2))
    dgamma = (dout * xhat).sum((0, 2))
    dxhat = (dout * gamma[None, :, None]).reshape(N, G, -1)
    xg = xhat.reshape(N, G, -1)
    m = xg.shape[2]
    dx = dxhat - dxhat.sum(2, keepdims=True) / m
    dx = dx - xg * (dxhat * xg).sum(2, keepdims=True) / m
    dx = (dx * istd).reshape(N, C, L)
    return dx, dgamma, dbeta


USE = {
    "inputs": "x=(N=3,C=4,L=5) gamma=(C) beta=(C)",
    "forward": "out, cache = groupnorm_forward(x, gamma, beta, 2)",
    "backward": "dx, dgamma, dbeta = groupnorm_backward(dout, cache)",
}
