"""Layers as people write them, in several styles; all are right. `mistakes.py` plants the faults.

Each function's name begins with that of the program it is an answer to; NumPy alone is imported.
"""

# flake8: noqa: E741
# mypy: ignore-errors

import math

import numpy as np


# layernorm: as in cs231n, as in PyTorch's documentation, as one would with loops, in one line
def layernorm_cs231n(x, gamma, beta, eps=1e-5):
    N, T, D = x.shape
    mu = np.sum(x, axis=2, keepdims=True) / D
    xmu = x - mu
    sq = xmu ** 2
    var = np.sum(sq, axis=2, keepdims=True) / D
    sqrtvar = np.sqrt(var + eps)
    ivar = 1.0 / sqrtvar
    xhat = xmu * ivar
    gammax = gamma * xhat
    out = gammax + beta
    cache = (xhat, gamma, ivar)
    return out, cache


def layernorm_torch(input, weight, bias, eps=1e-5):
    mean = input.mean(axis=-1, keepdims=True)
    var = input.var(axis=-1, keepdims=True, ddof=0)
    input_norm = (input - mean) / np.sqrt(var + eps)
    return input_norm * weight + bias


def layernorm_loops(x, g, b, eps=1e-5):
    y = np.zeros_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            row = x[i, j]
            m = sum(row) / len(row)
            v = sum((r - m) ** 2 for r in row) / len(row)
            for k in range(len(row)):
                y[i, j, k] = (row[k] - m) / math.sqrt(v + eps) * g[k] + b[k]
    return y


def layernorm_short(x, w, b, eps=1e-5):
    x = x - x.mean(-1, keepdims=True)
    return w * x * (np.mean(x * x, -1, keepdims=True) + eps) ** -0.5 + b


def softmax_plain(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def softmax_rows(scores):
    probs = []
    for row in scores:
        top = max(row)
        exps = [math.exp(s - top) for s in row]
        total = sum(exps)
        probs.append([e / total for e in exps])
    return np.array(probs)


def softmax_transposed(X):
    Z = X.T - X.T.max(axis=0)
    E = np.exp(Z)
    return (E / E.sum(axis=0)).T


def gelu_gpt2(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * np.power(x, 3))))


def gelu_steps(x):
    c = math.sqrt(2.0 / math.pi)
    cube = x * x * x
    u = c * (x + 0.044715 * cube)
    t = np.tanh(u)
    return x * (t + 1) / 2


def gelu_llmc(inp):
    out = np.empty_like(inp)
    GELU_SCALING_FACTOR = math.sqrt(2.0 / math.pi)
    for i in range(inp.size):
        x = inp.flat[i]
        cube = 0.044715 * x * x * x
        out.flat[i] = 0.5 * x * (1.0 + math.tanh(GELU_SCALING_FACTOR * (x + cube)))
    return out


def gelu_exact_erf(x):
    erf = np.vectorize(math.erf)
    return x * 0.5 * (1.0 + erf(x / math.sqrt(2.0)))


def linear_plain(x, w, b):
    return np.matmul(x, w) + b


def linear_einsum(inputs, kernel, bias):
    y = np.einsum("bti,io->bto", inputs, kernel)
    y += bias
    return y


def linear_flat(x, W, b):
    B, T, I = x.shape
    out = x.reshape(B * T, I).dot(W)
    out = out + b
    return out.reshape(B, T, -1)


def linear_loops(x, w, b):
    out = np.zeros(x.shape[:-1] + (w.shape[1],))
    for o in range(w.shape[1]):
        for i in range(w.shape[0]):
            out[..., o] += x[..., i] * w[i, o]
        out[..., o] += b[o]
    return out


def causal_attention_paper(Q, K, V):
    d_k = Q.shape[-1]
    T, S = Q.shape[-2], K.shape[-2]
    scores = Q @ np.swapaxes(K, -1, -2) / np.sqrt(d_k)
    mask = np.triu(np.ones((T, S)), k=1 + S - T)
    scores = np.where(mask == 1, -1e9, scores)
    scores = scores - scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores)
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return weights @ V


def causal_attention_loop(q, k, v):
    out = np.zeros((q.shape[0], v.shape[1]))
    offset = k.shape[0] - q.shape[0]
    for t in range(q.shape[0]):
        last = t + offset + 1
        s = np.array([q[t] @ k[j] / math.sqrt(len(q[t])) for j in range(last)])
        w = np.exp(s - s.max())
        w /= w.sum()
        out[t] = w @ v[:last]
    return out


def causal_attention_bias(q, k, v):
    t, s = len(q), len(k)
    att = q.dot(k.T)
    att *= q.shape[1] ** -0.5
    allowed = np.tril(np.ones((s, s)))[s - t:]
    att = att + (1.0 - allowed) * -1e10
    att = np.exp(att - att.max(1, keepdims=True))
    att = att / att.sum(1, keepdims=True)
    y = att.dot(v)
    return y


# nanoGPT's style, the loop over heads, and einsum
def multi_head_attention_nano(qkv, n_head):
    B, T, C3 = qkv.shape
    C = C3 // 3
    q, k, v = np.split(qkv, 3, axis=2)
    k = k.reshape(B, T, n_head, C // n_head).transpose(0, 2, 1, 3)
    q = q.reshape(B, T, n_head, C // n_head).transpose(0, 2, 1, 3)
    v = v.reshape(B, T, n_head, C // n_head).transpose(0, 2, 1, 3)
    att = (q @ k.transpose(0, 1, 3, 2)) * (1.0 / math.sqrt(k.shape[-1]))
    att = np.where(np.tril(np.ones((T, T))) == 0, -np.inf, att)
    att = np.exp(att - att.max(-1, keepdims=True))
    att = att / att.sum(-1, keepdims=True)
    y = att @ v
    y = y.transpose(0, 2, 1, 3).reshape(B, T, C)
    return y


def multi_head_attention_heads(qkv, n_head):
    width = qkv.shape[-1] // 3
    size = width // n_head
    Q, K, V = qkv[..., :width], qkv[..., width:2 * width], qkv[..., 2 * width:]
    heads = []
    for h in range(n_head):
        cols = slice(h * size, (h + 1) * size)
        q, k, v = Q[..., cols], K[..., cols], V[..., cols]
        scores = np.matmul(q, k.transpose(0, 2, 1)) / np.sqrt(size)
        T = scores.shape[-1]
        future = np.triu(np.ones((T, T), dtype=bool), 1)
        scores[:, future] = -1e30
        w = np.exp(scores - np.amax(scores, axis=-1, keepdims=True))
        w = w / np.sum(w, axis=-1, keepdims=True)
        heads.append(np.matmul(w, v))
    return np.concatenate(heads, axis=-1)


def multi_head_attention_einsum(qkv, n_head):
    b, t, _ = qkv.shape
    q, k, v = qkv.reshape(b, t, 3, n_head, -1).transpose(2, 0, 3, 1, 4)
    s = np.einsum("bhqd,bhkd->bhqk", q, k) / q.shape[-1] ** 0.5
    s = np.where(np.arange(t)[:, None] >= np.arange(t), s, -np.inf)
    p = np.exp(s - s.max(axis=-1)[..., None])
    p = p / p.sum(axis=-1)[..., None]
    return np.einsum("bhqk,bhkd->bqhd", p, v).reshape(b, t, -1)


def feed_forward_mlp(x, w1, b1, w2, b2):
    h = x @ w1 + b1
    a = 0.5 * h * (1 + np.tanh(0.7978845608028654 * (h + 0.044715 * h ** 3)))
    return a @ w2 + b2


def feed_forward_flat(X, W_in, b_in, W_out, b_out):
    rows = X.reshape(-1, X.shape[-1])
    hidden = rows.dot(W_in)
    hidden = hidden + b_in
    act = hidden / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden ** 3)))
    out = act.dot(W_out)
    out = out + b_out
    return out.reshape(X.shape[:-1] + (W_out.shape[1],))


def block_gpt2(x, p, n_head, eps=1e-5):
    def norm(z, name):
        u = z.mean(-1, keepdims=True)
        s = ((z - u) ** 2).mean(-1, keepdims=True)
        return (z - u) / np.sqrt(s + eps) * p[name + ".weight"] + p[name + ".bias"]

    def conv1d(z, name):
        return z @ p[name + ".weight"] + p[name + ".bias"]

    def attn(z):
        B, T, C = z.shape
        q, k, v = np.split(conv1d(z, "attn.c_attn"), 3, axis=-1)
        split = lambda m: m.reshape(B, T, n_head, C // n_head).transpose(0, 2, 1, 3)
        q, k, v = split(q), split(k), split(v)
        w = q @ k.transpose(0, 1, 3, 2) / math.sqrt(C // n_head)
        w = w + np.triu(np.full((T, T), -1e10), 1)
        w = np.exp(w - w.max(-1, keepdims=True))
        w = w / w.sum(-1, keepdims=True)
        a = (w @ v).transpose(0, 2, 1, 3).reshape(B, T, C)
        return conv1d(a, "attn.c_proj")

    def mlp(z):
        h = conv1d(z, "mlp.c_fc")
        h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h ** 3)))
        return conv1d(h, "mlp.c_proj")

    x = x + attn(norm(x, "ln_1"))
    x = x + mlp(norm(x, "ln_2"))
    return x


def cross_entropy_rows(logits, targets):
    B, T, V = logits.shape
    logits = logits.reshape(B * T, V)
    y = targets.reshape(B * T)
    keep = y != -100
    z = logits - logits.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    nll = -logp[np.arange(B * T), np.where(keep, y, 0)]
    return (nll * keep).sum() / keep.sum()


def cross_entropy_loop(logits, targets):
    total, count = 0.0, 0
    for b in range(targets.shape[0]):
        for t in range(targets.shape[1]):
            if targets[b, t] == -100:
                continue
            row = logits[b, t]
            top = row.max()
            total += top + math.log(np.exp(row - top).sum()) - row[targets[b, t]]
            count += 1
    return total / count


def cross_entropy_onehot(logits, targets):
    mask = targets != -100
    onehot = np.eye(logits.shape[-1])[np.where(mask, targets, 0)] * mask[..., None]
    z = logits - logits.max(-1, keepdims=True)
    probs = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    logs = z - np.log(np.exp(z).sum(-1, keepdims=True))
    return -(onehot * logs).sum() / mask.sum()


def embedding_gpt(idx, wte, wpe):
    b, t = idx.shape
    pos = np.arange(0, t)
    tok_emb = wte[idx]
    pos_emb = wpe[pos]
    x = tok_emb + pos_emb
    return x


def embedding_loop(ids, wte, wpe):
    out = np.zeros(ids.shape + (wte.shape[1],))
    for b in range(ids.shape[0]):
        for t in range(ids.shape[1]):
            out[b, t] = wte[ids[b, t]] + wpe[t]
    return out


def embedding_onehot(ids, wte, wpe):
    hot = np.eye(len(wte))[ids]
    return hot @ wte + wpe[:ids.shape[1]]


def unembedding_head(x, wte, g, b, eps=1e-5):
    m, v = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    x = g * (x - m) / np.sqrt(v + eps) + b
    return np.einsum("btc,vc->btv", x, wte)


def dropout_inverted(x, rate, rng, training=True):
    if not training:
        return x
    mask = (rng.random(x.shape) >= rate) / (1.0 - rate)
    return x * mask


def dropout_binomial(x, rate, training=True):
    p = 1 - rate
    if training:
        keep = np.random.default_rng(5).binomial(1, p, size=x.shape)
        return keep * x / p
    else:
        return x


def attention_entropy_where(weights):
    logs = np.log(np.where(weights > 0, weights, 1.0))
    H = -(weights * logs).sum(axis=-1)
    return H.mean(axis=(0, 2))
