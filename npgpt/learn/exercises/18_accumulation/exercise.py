"""Gradient accumulation with uneven token counts

difficulty: 2/5   importance: 4/5   about 20 minutes (estimated)

STORY

A batch that does not fit into memory is cut into micro-batches. Each goes
through forward and backward by itself; the gradients are added up, and only
then do the parameters move. Done right, nobody can tell the difference: the
accumulated gradient *is* the gradient of the whole batch.

Done the obvious way, it is not. A loss is a mean over tokens, and
micro-batches rarely have equally many: the sequences have different lengths,
padding and prompts are ignored. Then the mean of the micro-batches' means is
not the mean over all tokens. A token in a micro-batch of 3 counts as much as
four tokens in a micro-batch of 12. Several well-known training libraries had
this fault, and it was hard to notice: training works, only a little worse
than it should.

MATHEMATICS

Micro-batch i has n_i counted tokens and gives the gradient of its own mean
loss:

    loss_i = (1 / n_i) * sum over its tokens of loss(token)
    g_i    = d(loss_i) / d(params)

    loss   = (1 / N) * sum over all tokens of loss(token)
    g      = d(loss) / d(params) = ?         N = n_1 + ... + n_k

Write loss in terms of the loss_i, and differentiate: that is the whole
exercise.

In a run, groups of `size` micro-batches make one step each. The last group of
an epoch may be smaller. That is a step like any other, and each of its tokens
counts as much as any other token.

SHAPES

    grads    a list of k dicts of arrays; grads[i]["wte"] means dloss_i/dwte,
             and has the shape of wte
    counts   a list of k integers, the n_i
"""

import numpy as np

from npgpt.layers.cross_entropy import (
    cross_entropy_backward,
    cross_entropy_forward,
)
from npgpt.layers.linear import linear_backward, linear_forward
from npgpt.learn import NotBegun


def accumulate(grads, counts):
    """The gradient of the mean loss over all tokens, as a dict."""
    # the accumulated gradient
    # ---- your code: begins here ----
    total = sum(counts)
    out = {name: np.zeros_like(g) for name, g in grads[0].items()}
    for g, n in zip(grads, counts):
        for name in out:
            out[name] += g[name] * n / total
    return out
    # ---- your code: ends here ----


def accumulate_in_groups(grads, counts, *, size):
    """A list with the accumulated gradient of each step.

    A step has `size` micro-batches, the last one those that are left.
    `accumulate` above may be used.
    """
    # the gradient of every step
    # ---- your code: begins here ----
    steps = []
    for start in range(0, len(grads), size):
        group = slice(start, start + size)
        steps.append(accumulate(grads[group], counts[group]))
    return steps
    # ---- your code: ends here ----


def mean_gradient(params, x, targets):
    """Given: the gradient of a linear layer's mean loss; -100 not counted."""
    logits, cache = linear_forward(x, params["weight"], params["bias"])
    _, loss_cache = cross_entropy_forward(logits, targets)
    dlogits, _ = cross_entropy_backward(np.float64(1.0), loss_cache)
    _, dweight, dbias = linear_backward(dlogits, cache)
    return {"weight": dweight, "bias": dbias}


def example(rng):
    """Given: parameters, x, and targets; each row counts fewer of them."""
    params = {"weight": rng.standard_normal((5, 7)),
              "bias": rng.standard_normal(7)}
    x = rng.standard_normal((4, 6, 5))
    targets = rng.integers(0, 7, (4, 6))
    for row, length in enumerate((6, 4, 2, 1)):
        targets[row, length:] = -100
    return params, x, targets


if __name__ == "__main__":
    params, x, targets = example(np.random.default_rng(0))
    whole = mean_gradient(params, x, targets)
    rows = [mean_gradient(params, x[i:i + 1], targets[i:i + 1])
            for i in range(4)]
    counts = [int((targets[i] != -100).sum()) for i in range(4)]
    mine = accumulate(rows, counts)
    naive = {name: sum(g[name] for g in rows) / 4 for name in whole}

    def away(grads):
        return max(np.abs(grads[name] - g).max() / np.abs(g).max()
                   for name, g in whole.items())

    print(f"micro-batches of {counts} tokens;")
    print("how far from the whole batch's gradient:")
    print(f"  yours              {away(mine):.1e} of it")
    print(f"  the mean of means  {away(naive):.1e} of it")
