"""A port of GPT-2 as somebody else would write it, forward only, with mistakes to switch on."""

import math

import numpy as np


def run(p, ids, targets, config, mistake=""):
    """Activations by the pack's names, from parameters p; `mistake` names what goes wrong."""
    out = {}
    heads, eps = config["n_head"], config["layer_norm_epsilon"]
    eps = 1e-3 if mistake == "eps 1e-3" else eps
    b, t = ids.shape

    def norm(x, name):
        var = x.var(-1, keepdims=True, ddof=1 if mistake == "unbiased" else 0)
        y = (x - (0 if mistake == "no mean" else x.mean(-1, keepdims=True))) / np.sqrt(var + eps)
        if mistake == "no affine":
            return y
        y = y * p[f"{name}.weight"] + p[f"{name}.bias"]
        return y.astype(np.float16).astype(y.dtype) if mistake == "half" else y

    def linear(x, name):
        w = p[f"{name}.weight"]
        if mistake == "transposed" and w.shape[0] == w.shape[1]:
            w = w.T
        y = np.einsum("bti,io->bto", x, w)
        return y if mistake == "no bias" else y + p[f"{name}.bias"]

    def heads_of(z):
        d = z.shape[-1] // heads
        if mistake == "bare split":
            return z.reshape(b, heads, t, d)
        return np.stack([z[..., i * d:(i + 1) * d] for i in range(heads)], axis=1)

    def gelu(z):
        if mistake == "exact gelu":
            return z * 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))
        if mistake == "quick gelu":
            return z / (1 + np.exp(-1.702 * z))
        return z * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))

    x = out["embedding.token"] = p["wte.weight"][ids]
    shift = 1 if mistake == "positions from 1" else 0
    x = out["embedding.sum"] = x + p["wpe.weight"][np.arange(t) + shift]
    for i in range(config["n_layer"]):
        h = f"h.{i}"
        y = out[f"{h}.ln_1"] = norm(x, f"{h}.ln_1")
        qkv = out[f"{h}.attn.c_attn"] = linear(y, f"{h}.attn.c_attn")
        parts = np.split(qkv, 3, axis=-1)
        if mistake == "k before q":
            parts = [parts[1], parts[0], parts[2]]
        q, k, v = (heads_of(z) for z in parts)
        out[f"{h}.attn.q"], out[f"{h}.attn.k"], out[f"{h}.attn.v"] = q, k, v
        scale = 1 if mistake == "no scale" else math.sqrt(q.shape[-1])
        s = np.einsum("bhid,bhjd->bhij", q, k) / scale
        hidden = np.full((t, t), -1e9 if mistake == "strict mask" else -1e30)
        if mistake == "reversed mask":
            s = s + np.tril(hidden, -1)
        elif mistake == "strict mask":
            s = np.where(np.tri(t, k=-1, dtype=bool), s, hidden)
        elif mistake != "no mask":
            s = s + np.triu(hidden, 1)
        w = np.exp(s - s.max(-1, keepdims=True))
        w = out[f"{h}.attn.weights"] = w / w.sum(-1, keepdims=True)
        z = w @ v
        z = z.reshape(b, t, -1) if mistake == "bare merge" else np.concatenate(
            [z[:, n] for n in range(heads)], axis=-1)
        out[f"{h}.attn.mixed"] = z
        a = out[f"{h}.attn.c_proj"] = linear(z, f"{h}.attn.c_proj")
        start = x
        x = out[f"{h}.residual_1"] = a if mistake == "no residual" else x + a
        y = out[f"{h}.ln_2"] = norm(x, f"{h}.ln_1" if mistake == "ln_1 twice" else f"{h}.ln_2")
        f = out[f"{h}.mlp.c_fc"] = linear(y, f"{h}.mlp.c_fc")
        f = out[f"{h}.mlp.act"] = gelu(f)
        f = out[f"{h}.mlp.c_proj"] = linear(f, f"{h}.mlp.c_proj")
        x = out[f"{h}.residual_2"] = f + (start if mistake == "from the input" else x)
    y = x if mistake == "no final norm" else norm(x, "ln_f")
    if mistake != "no final norm":
        out["ln_f"] = y
    logits = out["logits"] = y @ p["wte.weight"].T
    log_p = logits - logits.max(-1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(-1, keepdims=True))
    counted = targets != -100
    nats = np.array([-log_p[r, c, targets[r, c]] for r, c in zip(*np.nonzero(counted))])
    out["loss"] = np.asarray({
        "sum": nats.sum(), "all counted": nats.sum() / targets.size,
        "bits": nats.mean() / math.log(2),
    }.get(mistake, nats.mean()))
    return out
