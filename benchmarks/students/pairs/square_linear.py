import numpy as np


# hidden-to-hidden map, no bias; W is square (H, H)
def linear_fwd(h, W):
    return np.dot(h, W)


def linear_bwd(dout, h, W):
    dh = np.dot(dout, W.T)
    dW = np.dot(h.T, dout)
    return dh, dW


USE = {
    "inputs": "h=(N=3,H=4) W=(H,H)",
    "forward": "out = linear_fwd(h, W)",
    "backward": "dh, dW = linear_bwd(dout, h, W)",
}
