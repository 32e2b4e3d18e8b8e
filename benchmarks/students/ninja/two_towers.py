import numpy as np


def two_towers(A, B, user, item, liked):
    """Users and items each through a matrix, then the cosine, then the squared error."""
    u = user @ A
    v = item @ B
    nu = np.sqrt((u ** 2).sum(1, keepdims=True))
    nv = np.sqrt((v ** 2).sum(1, keepdims=True))
    uh = u / nu
    vh = v / nv
    cos = (uh * vh).sum(1)
    err = cos - liked
    loss = (err ** 2).mean()

    dcos = 2 * err / len(err)
    duh = dcos[:, None] * vh
    dvh = dcos[:, None] * uh
    dnu = -(duh * u).sum(1, keepdims=True) / nu ** 2
    dnv = -(dvh * v).sum(1, keepdims=True) / nv ** 2
    du = duh / nu + dnu * u / nu
    dv = dvh / nv + dnv * v / nv
    dA = user.T @ du
    dB = item.T @ dv
    return loss, {"A": dA, "B": dB}


USE = {
    "seed": 1,
    "inputs": "A=(P=4,D=2) B=(Q=3,D) user=const(N=5,P) item=const(N,Q) liked=bits(N)",
    "forward": "out, grads = two_towers(A, B, user, item, liked)",
    "backward": "dA, dB = grads['A'], grads['B']",
}
