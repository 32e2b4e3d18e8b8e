import numpy as np


def word_embedding_forward(x, W):
    out = W[x]
    cache = (x, W.shape)
    return out, cache


def word_embedding_backward(dout, cache):
    x, shape = cache
    dW = np.zeros(shape)
    np.add.at(dW, x, dout)
    return dW


USE = {
    "inputs": "x=ids(N=2,T=4)<V=5 W=(V,D=3)",
    "forward": "out, cache = word_embedding_forward(x, W)",
    "backward": "dW = word_embedding_backward(dout, cache)",
}
