import numpy as np

softplus_forward = lambda x, beta=1.0: (np.log1p(np.exp(beta * x)) / beta, (x, beta))
softplus_backward = lambda dout, cache: dout / (1 + np.exp(-cache[1] * cache[0]))

USE = {
    "inputs": "x=(N=3,D=4)",
    "forward": "out, cache = softplus_forward(x, beta=2.5)",
    "backward": "dx = softplus_backward(dout, cache)",
}
