def linear_forward(x, W, b):
    out = x @ W + b
    cache = (x, W)
    return out, cache


def linear_backward(dout, cache):
    x, W = cache
    dx = dout @ W.T
    dW = x.T @ dout
    db = dout.sum(axis=0)
    return dx, dW, db


USE = {
    "inputs": "x=(N=3,D=5) W=(D,M=4) b=(M)",
    "forward": "out, cache = linear_forward(x, W, b)",
    "backward": "dx, dW, db = linear_backward(dout, cache)",
}
