import numpy as np


def angles(T, half):
    freq = 1.0 / 10.0 ** (np.arange(half) / half)
    theta = np.outer(np.arange(T), freq)
    return np.cos(theta), np.sin(theta)


def rope_forward(q):
    B, T, D = q.shape
    cos, sin = angles(T, D // 2)
    q1, q2 = q[..., : D // 2], q[..., D // 2 :]
    out = np.concatenate([q1 * cos - q2 * sin, q1 * sin + q2 * cos], axis=-1)
    return out, (cos, sin)


def rope_backward(dout, cache):
    cos, sin = cache
    half = cos.shape[1]
    d1, d2 = dout[..., :half], dout[..., half:]
    dq1 = d1 * cos + d2 * sin
    dq2 = d2 * cos - d1 * sin
    return np.concatenate([dq1, dq2], axis=-1)


USE = {
    "inputs": "q=(B=2,T=3,D=4)",
    "forward": "out, cache = rope_forward(q)",
    "backward": "dq = rope_backward(dout, cache)",
}
