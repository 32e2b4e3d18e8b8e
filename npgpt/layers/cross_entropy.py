"""Cross-entropy: minus the log-probability of the right token, averaged over positions.

Forward    log p = logits - logsumexp(logits)
           loss  = -sum over counted n of log p[n, target_n] / count
Backward   dlogits[n] = dloss * (p[n] - onehot(target_n)) / count, and 0 where not counted

A position whose target is `ignore_index` is not counted. When none is counted the loss is 0 and
so is its gradient: a mean over nothing, where others give NaN.

Shapes     logits (..., V)    targets (...) integers    loss ()
Saved for backward   p, targets, which are counted, count
Source     the negative log-likelihood; "ignore index" after common usage
"""

from __future__ import annotations

import numpy as np

from .contract import Array, Cache
from .embedding import check_rows, unembedding_backward, unembedding_forward

IGNORE = -100


def check_targets_shape(targets: Array, logits_shape: tuple[int, ...]) -> None:
    """Raise ValueError unless there is one target for each position of logits (..., V)."""
    if targets.shape != logits_shape[:-1]:
        raise ValueError(f"cross_entropy expects one target for each position of logits "
                         f"{logits_shape}: targets {logits_shape[:-1]}; got {targets.shape}")


def cross_entropy_forward(
    logits: Array, targets: Array, *, ignore_index: int = IGNORE
) -> tuple[Array, Cache]:
    """Mean loss in nats, an array of shape (), over the targets that are not `ignore_index`.

    logits (..., V), targets (...) of integers. Raises ValueError as `check_targets_shape` and
    `check_rows`.
    """
    vocab = logits.shape[-1]
    check_targets_shape(targets, logits.shape)
    rows = logits.reshape(-1, vocab)                            # (N, V)
    flat = targets.reshape(-1)                                  # (N,)
    counted = flat != ignore_index                              # (N,)
    check_rows(flat[counted], vocab, "targets")
    count = int(counted.sum())
    safe = np.where(counted, flat, 0)

    # subtract the row maximum: exp of a large logit overflows
    shifted = rows - rows.real.max(axis=-1, keepdims=True)      # (N, V)
    exps = np.exp(shifted)
    sums = exps.sum(axis=-1, keepdims=True)                     # (N, 1)
    p = exps / sums                                             # (N, V)
    picked = shifted[np.arange(len(flat)), safe] - np.log(sums[:, 0])   # (N,) log p of the target
    loss = np.where(counted, -picked, 0).sum() / max(count, 1)
    return np.asarray(loss), (p, safe, counted, count, logits.shape)


def cross_entropy_backward(dloss: Array, cache: Cache) -> tuple[Array, None]:
    """Give (dlogits, None): dlogits (..., V), targets have no gradient."""
    p, safe, counted, count, shape = cache
    onehot_gap = p.copy()                                       # (N, V)
    onehot_gap[np.arange(len(safe)), safe] -= 1.0
    dlogits = onehot_gap * (counted[:, None] * (dloss / max(count, 1)))
    return dlogits.astype(p.dtype, copy=False).reshape(shape), None


def linear_cross_entropy_forward(
    x: Array, weight: Array, targets: Array, *, ignore_index: int = IGNORE
) -> tuple[Array, Cache]:
    """The loss straight from the channels: unembedding by weight (V, C), then cross-entropy.

    x (..., C), targets (...); gives nats, (). Raises ValueError as the two layers that it joins.
    It is one layer, so that a faster version need not hold the (..., V) logits.
    """
    logits, head_cache = unembedding_forward(x, weight)         # (..., V)
    loss, loss_cache = cross_entropy_forward(logits, targets, ignore_index=ignore_index)
    return loss, (head_cache, loss_cache)


def linear_cross_entropy_backward(dloss: Array, cache: Cache) -> tuple[Array, Array, None]:
    """Give (dx, dweight, None): dx (..., C), dweight (V, C)."""
    head_cache, loss_cache = cache
    dlogits, _ = cross_entropy_backward(dloss, loss_cache)      # (..., V)
    dx, dweight = unembedding_backward(dlogits, head_cache)
    return dx, dweight, None
