"""Programs around the model as people write them; all are right. `mistakes.py` plants the faults.

Each function's name begins with that of the program it is an answer to; NumPy alone is imported.
"""

# flake8: noqa: E741
# mypy: ignore-errors

import math
from collections import Counter

import numpy as np


def adamw_inplace(params, grads, m, v, step, lr, betas, eps, weight_decay):
    beta1, beta2 = betas
    for key in params:
        g = grads[key]
        if params[key].ndim >= 2:
            params[key] *= 1 - lr * weight_decay
        m[key] = beta1 * m[key] + (1 - beta1) * g
        v[key] = beta2 * v[key] + (1 - beta2) * g ** 2
        m_hat = m[key] / (1 - beta1 ** step)
        v_hat = v[key] / (1 - beta2 ** step)
        params[key] -= lr * m_hat / (np.sqrt(v_hat) + eps)


def adamw_returns(w, dw, mom, vel, step, lr, betas, eps, weight_decay):
    b1, b2 = betas
    t = step
    new = {}
    for name, p in w.items():
        mom[name] = mom[name] + (1 - b1) * (dw[name] - mom[name])
        vel[name] = vel[name] + (1 - b2) * (dw[name] * dw[name] - vel[name])
        correction = math.sqrt(1 - b2 ** t) / (1 - b1 ** t)
        denom = np.sqrt(vel[name]) + eps * math.sqrt(1 - b2 ** t)
        update = correction * mom[name] / denom
        if len(p.shape) > 1:
            update = update + weight_decay * p
        new[name] = p - lr * update
    return new, mom, vel


def clip_global(grads, max_norm):
    total = 0.0
    for g in grads.values():
        total += np.sum(g ** 2)
    norm = np.sqrt(total)
    coef = max_norm / (norm + 1e-6)
    if coef < 1:
        grads = {k: g * coef for k, g in grads.items()}
    return grads


def clip_flat(grads, max_norm):
    flat = np.concatenate([g.ravel() for g in grads.values()])
    size = np.linalg.norm(flat)
    if size <= max_norm:
        return grads
    return {name: g * (max_norm / size) for name, g in grads.items()}


def accumulate_running(grads, counts):
    total = {k: np.zeros_like(g) for k, g in grads[0].items()}
    seen = 0
    for micro, n in zip(grads, counts):
        for k in total:
            total[k] += micro[k] * n
        seen += n
    return {k: g / seen for k, g in total.items()}


def accumulate_weights(grads, counts):
    share = np.array(counts) / np.sum(counts)
    out = {}
    for name in grads[0]:
        out[name] = sum(s * g[name] for s, g in zip(share, grads))
    return out


def learning_rate_nano(step, lr, min_lr, warmup, total):
    if step < warmup:
        return lr * (step + 1) / (warmup + 1)
    if step > total:
        return min_lr
    decay_ratio = (step - warmup) / (total - warmup)
    coeff = 0.5 * (1.0 + math.cos(math.pi * decay_ratio))
    return min_lr + coeff * (lr - min_lr)


def learning_rate_mix(step, lr, min_lr, warmup, total):
    up = (step + 1) / (warmup + 1)
    done = min((step - warmup) / (total - warmup), 1.0)
    cos = (1 + math.cos(done * math.pi)) / 2
    return lr * up if step < warmup else lr * cos + min_lr * (1 - cos)


def sampling_torchlike(logits, temperature=1.0, top_k=None, top_p=None):
    logits = logits / temperature
    if top_k is not None:
        v = np.sort(logits)[-min(top_k, len(logits))]
        logits = np.where(logits < v, -np.inf, logits)
    if top_p is not None:
        order = np.argsort(logits)[::-1]
        probs = np.exp(logits[order] - logits.max())
        probs = probs / probs.sum()
        cumulative = np.cumsum(probs)
        remove = cumulative > top_p
        remove[1:] = remove[:-1].copy()
        remove[0] = False
        logits = logits.copy()
        logits[order[remove]] = -np.inf
    e = np.exp(logits - logits.max())
    return e / e.sum()


def sampling_lists(logits, temperature=1.0, top_k=None, top_p=None):
    z = [value / temperature for value in logits]
    top = max(z)
    weights = [math.exp(value - top) for value in z]
    ranked = sorted(range(len(z)), key=lambda i: weights[i], reverse=True)
    if top_k is not None:
        ranked = ranked[:top_k]
    if top_p is not None:
        whole = sum(weights[i] for i in ranked)
        kept, mass = [], 0.0
        for i in ranked:
            kept.append(i)
            mass += weights[i] / whole
            if mass >= top_p:
                break
        ranked = kept
    out = np.zeros(len(z))
    for i in ranked:
        out[i] = weights[i]
    return out / out.sum()


def cached_attention_tuple(ids, cache, p):
    start = 0 if cache is None else len(cache[0])
    x = p["wte"][ids] + p["wpe"][start:start + len(ids)]
    q, k, v = x @ p["q"], x @ p["k"], x @ p["v"]
    if cache is not None:
        k = np.concatenate([cache[0], k], axis=0)
        v = np.concatenate([cache[1], v], axis=0)
    T, S = len(q), len(k)
    scores = q @ k.T / np.sqrt(q.shape[1])
    mask = np.triu(np.ones((T, S), dtype=bool), k=S - T + 1)
    scores[mask] = -np.inf
    w = np.exp(scores - scores.max(axis=1, keepdims=True))
    w /= w.sum(axis=1, keepdims=True)
    return w @ v, (k, v)


def cached_attention_dict(tokens, state, weights):
    if state is None:
        d = weights["k"].shape[1]
        state = {"k": np.empty((0, d)), "v": np.empty((0, d)), "pos": 0}
    outs = []
    keys, values, pos = state["k"], state["v"], state["pos"]
    for token in tokens:
        h = weights["wte"][token] + weights["wpe"][pos]
        keys = np.vstack([keys, h @ weights["k"]])
        values = np.vstack([values, h @ weights["v"]])
        s = keys @ (h @ weights["q"]) / math.sqrt(keys.shape[1])
        a = np.exp(s - s.max())
        outs.append(a @ values / a.sum())
        pos += 1
    return np.array(outs), {"k": keys, "v": values, "pos": pos}


def bpe_encode_minbpe(text, merges):
    ranks = {pair: i for i, pair in enumerate(merges)}
    parts = [bytes([b]) for b in text]
    while len(parts) >= 2:
        pairs = list(zip(parts, parts[1:]))
        pair = min(pairs, key=lambda q: ranks.get(q, float("inf")))
        if pair not in ranks:
            break
        new, i = [], 0
        while i < len(parts):
            if i < len(parts) - 1 and (parts[i], parts[i + 1]) == pair:
                new.append(parts[i] + parts[i + 1])
                i += 2
            else:
                new.append(parts[i])
                i += 1
        parts = new
    return parts


def bpe_encode_openai(token, merges):
    bpe_ranks = dict(zip(merges, range(len(merges))))
    word = [token[i:i + 1] for i in range(len(token))]
    while True:
        best, where = None, None
        for i in range(len(word) - 1):
            rank = bpe_ranks.get((word[i], word[i + 1]))
            if rank is not None and (best is None or rank < best):
                best, where = rank, i
        if where is None:
            return word
        word = word[:where] + [word[where] + word[where + 1]] + word[where + 2:]


def bpe_train_counter(text, n):
    ids = [bytes([b]) for b in text]
    merges = []
    for _ in range(n):
        stats = {}
        for pair in zip(ids, ids[1:]):
            stats[pair] = stats.get(pair, 0) + 1
        if not stats:
            break
        top = max(stats, key=stats.get)
        merges.append(top)
        out, i = [], 0
        while i < len(ids):
            if ids[i:i + 2] == list(top):
                out.append(top[0] + top[1])
                i += 2
            else:
                out.append(ids[i])
                i += 1
        ids = out
    return merges


def windows_stack(tokens, length):
    x, y = [], []
    for i in range(0, len(tokens) - length, length):
        x.append(tokens[i:i + length])
        y.append(tokens[i + 1:i + length + 1])
    return np.stack(x), np.stack(y)


def numeric_gradient_nditer(f, x, h=1e-5):
    grad = np.zeros_like(x)
    it = np.nditer(x, flags=["multi_index"])
    x = x.copy()
    while not it.finished:
        ix = it.multi_index
        old = x[ix]
        x[ix] = old + h
        plus = f(x)
        x[ix] = old - h
        minus = f(x)
        x[ix] = old
        grad[ix] = (plus - minus) / (2 * h)
        it.iternext()
    return grad
