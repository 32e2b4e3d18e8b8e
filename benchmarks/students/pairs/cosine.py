import numpy as np


def cosine_forward(a, b):
    na = np.linalg.norm(a, axis=1)
    nb = np.linalg.norm(b, axis=1)
    dot = (a * b).sum(axis=1)
    cos = dot / (na * nb)
    return cos, (a, b, na, nb, cos)


def cosine_backward(dcos, cache):
    a, b, na, nb, cos = cache
    scale = (dcos / (na * nb))[:, None]
    da = scale * b - (dcos * cos / na ** 2)[:, None] * a
    db = scale * a - (dcos * cos / nb ** 2)[:, None] * b
    return da, db


USE = {
    "inputs": "a=(N=4,D=3) b=(N,D)",
    "forward": "out, cache = cosine_forward(a, b)",
    "backward": "da, db = cosine_backward(dout, cache)",
}
