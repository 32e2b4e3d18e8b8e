"""Cross-entropy, in steps and in one expression

difficulty: 3/5   importance: 5/5   about 40 minutes (estimated)

STORY

At every position the model gives a score, a logit, to each token of the
vocabulary. Softmax makes them probabilities, and the loss asks one thing: how
probable was the token that really came? Minus the logarithm of that, averaged
over the positions. Certain and right costs 0; one chance in a thousand costs
about 7.

Some positions do not count, such as padding: their target is ignore_index.
They take no part in the sum, and none in the number that it is divided by.

First write the gradient in steps, one line for each line of the forward, read
from bottom to top. Here is the forward again, for the positions that count:

    shifted = logits - max                  (N, V)
    exps    = exp(shifted)                  (N, V)
    sums    = exps.sum over V               (N, 1)
    log_p   = shifted - log(sums)           (N, V)
    loss    = -mean of log_p[n, target_n]   one number

Two things are easy to miss. The loss picks one element of each row of log_p,
so dlog_p is zero nearly everywhere. And shifted is used twice: in log_p
itself, and in exps, from where it gets into the sums. Its gradient has two
parts. (The maximum cancels: moving it moves nothing, so it needs no gradient.)

Then take a sheet of paper and put the steps together, for one row. What is
left is the best-known gradient of the whole field, and is one line. This is
the one that trains your GPT-2 at the end.

Give the gradient as (dlogits, None): targets are integers and have none. If
no position counts at all, the loss is 0, and so is the gradient.

MATHEMATICS

    p    = softmax(logits)
    loss = -1/count * sum over the positions that count of log p[n, target_n]
    dlogits: the steps, then one expression in p

SHAPES

    logits, dlogits   (B, T, V)
    targets           (B, T)       integers from 0 to V - 1, or ignore_index
    loss, dloss       ()           one number; dloss is not always 1

dlogits means dLoss/dlogits, and has the shape of logits.
"""

import numpy as np

from npgpt.learn import NotBegun


def cross_entropy_forward(logits, targets, *, ignore_index=-100):
    """Give the mean loss over the targets that count, and a cache."""
    # ---- your code: begins here ----
    rows, flat = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
    counted = flat != ignore_index
    count = max(counted.sum(), 1)
    picked = np.arange(len(flat)), np.where(counted, flat, 0)

    shifted = rows - rows.max(axis=-1, keepdims=True)
    exps = np.exp(shifted)
    sums = exps.sum(axis=-1, keepdims=True)
    log_p = shifted - np.log(sums)
    loss = -(log_p[picked] * counted).sum() / count
    return loss, (exps, sums, picked, counted, count, logits.shape)
    # ---- your code: ends here ----


def cross_entropy_backward_staged(dloss, cache):
    """Give (dlogits, None), one line for each line of the forward."""
    # the gradient of cross-entropy in steps
    # ---- your code: begins here ----
    exps, sums, picked, counted, count, shape = cache
    dlog_p = np.zeros_like(exps)
    dlog_p[picked] = -dloss * counted / count
    dshifted = dlog_p.copy()
    dsums = -dlog_p.sum(axis=-1, keepdims=True) / sums
    dexps = np.ones_like(exps) * dsums
    dshifted += dexps * exps
    dlogits = dshifted.reshape(shape)
    return dlogits, None
    # ---- your code: ends here ----


def cross_entropy_backward(dloss, cache):
    """Give (dlogits, None), in one expression."""
    # the gradient of cross-entropy in one expression
    # ---- your code: begins here ----
    exps, sums, picked, counted, count, shape = cache
    onehot = np.zeros_like(exps)
    onehot[picked] = 1
    dlogits = dloss * counted[:, None] * (exps / sums - onehot) / count
    return dlogits.reshape(shape), None
    # ---- your code: ends here ----


if __name__ == "__main__":
    words = "the cat sat on a mat".split()
    logits = np.zeros((1, 1, len(words)))
    target = np.array([[words.index("mat")]])
    print("the gradient pulls up the target and pushes down all others")
    print("step  loss   " + "".join(f"{word:>8}" for word in words))
    for step in range(6):
        loss, cache = cross_entropy_forward(logits, target)
        dlogits, _ = cross_entropy_backward(1.0, cache)
        row = "".join(f"{d:8.3f}" for d in dlogits[0, 0])
        print(f"{step:4}  {loss:.3f}  {row}")
        logits = logits - 2 * dlogits
