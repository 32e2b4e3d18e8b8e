"""Many heads

difficulty: 4/5   importance: 5/5   about 60 minutes (estimated)

STORY

One head computes one set of weights: at each position it can look for one
kind of thing. To look for several at once, the C channels are cut into H
heads of D = C / H channels; every head attends by itself, with its own
queries, keys and values; and the results are laid side by side again. Nothing
is added to the mathematics. It is all in the axes, and that is why more
people go wrong here than anywhere else in a transformer: every wrong version
has the right shape, and it even trains. It is only worse, and nobody can see
why.

So look at one row of x first: one position, with C = 6 channels and H = 2
heads.

    x[0]            t=0:   a0 a1 a2 | b0 b1 b2        a: head 0 (channels 0-2)
    (T=4, C=6)      t=1:   a0 a1 a2 | b0 b1 b2        b: head 1 (channels 3-5)
                    t=2:   a0 a1 a2 | b0 b1 b2
                    t=3:   a0 a1 a2 | b0 b1 b2

What attention needs is one (T, D) matrix per head, that is (H, T, D):

    head 0   t=0: a0 a1 a2        head 1   t=0: b0 b1 b2
             t=1: a0 a1 a2                 t=1: b0 b1 b2
             t=2: a0 a1 a2                 t=2: b0 b1 b2
             t=3: a0 a1 a2                 t=3: b0 b1 b2

`reshape` never moves a number. It reads all numbers of the memory in a row,
left to right and top to bottom, and lays them out anew. So reshape(H, T, D)
fills head 0 with the first T * D = 12 numbers there are: a0 a1 a2 b0 b1 b2 of
t=0, then those of t=1. That is this:

    "head 0"  row 0: a0 a1 a2  (t=0)      "head 1"  row 0: a0 a1 a2  (t=2)
    (wrong)   row 1: b0 b1 b2  (t=0)      (wrong)   row 1: b0 b1 b2  (t=2)
              row 2: a0 a1 a2  (t=1)                row 2: a0 a1 a2  (t=3)
              row 3: b0 b1 b2  (t=1)                row 3: b0 b1 b2  (t=3)

Positions and heads are mixed, and the causal mask then hides the wrong
things. What is right goes in two steps. First cut the last axis only, where a
head's channels really are neighbours: (T, C) -> (T, H, D). Then move an axis:
(T, H, D) -> (H, T, D). Moving an axis does change the order of the numbers;
that is its purpose.

    split    (B, T, C)  --reshape-->  (B, T, H, D)  --swap axes-->  (B, H, T, D)
    merge    (B, H, T, D)  --swap axes-->  (B, T, H, D)  --reshape-->  (B, T, C)

Merge is split read backwards: the same steps in the opposite order. And now
backward is almost free. Split and merge only move numbers, so their gradients
are moved back: the gradient of merge is split, the gradient of split is
merge.

    forward     qkv -> cut in 3 -> split each -> attention -> merge -> out
    backward   dqkv <- join 3   <- merge each <- attention <- split <- dout

MATHEMATICS

    q, k, v = the first, second and third C channels of qkv, in this order
    head h of q, k, v = channels h * D .. (h + 1) * D - 1
    out = the heads' causal attention, side by side

Scores are divided by sqrt(D), where D is the size of one head: a head's dot
product has D terms, not C.

SHAPES

    qkv, dqkv       (B, T, 3C)
    x, out, dout    (B, T, C)
    heads           (B, H, T, D), with C = H * D

The package's causal attention takes any axes in front:
causal_attention_forward(q, k, v) -> (heads, cache) and
causal_attention_backward(dheads, cache) -> (dq, dk, dv), each (B, H, T, D).
Your own lines from the exercise before are as good: paste them in if you
like.

dx means dLoss/dx, and has the shape of x.
"""

import numpy as np

from npgpt.layers.attention import (
    causal_attention_backward,
    causal_attention_forward,
)
from npgpt.learn import NotBegun


def split_heads(x, n_head):
    """(B, T, C) -> (B, H, T, D)."""
    # cutting channels into heads
    # ---- your code: begins here ----
    b, t, c = x.shape
    return x.reshape(b, t, n_head, c // n_head).swapaxes(1, 2)
    # ---- your code: ends here ----


def merge_heads(heads):
    """(B, H, T, D) -> (B, T, C), the way back."""
    # laying heads side by side
    # ---- your code: begins here ----
    b, h, t, d = heads.shape
    return heads.swapaxes(1, 2).reshape(b, t, h * d)
    # ---- your code: ends here ----


def multi_head_attention_forward(qkv, *, n_head):
    """Causal attention of every head over qkv. Returns (out, cache)."""
    # the attention of all heads
    # ---- your code: begins here ----
    q, k, v = np.split(qkv, 3, axis=-1)
    q, k, v = (split_heads(part, n_head) for part in (q, k, v))
    heads, attention_cache = causal_attention_forward(q, k, v)
    return merge_heads(heads), (n_head, attention_cache)
    # ---- your code: ends here ----


def multi_head_attention_backward(dout, cache):
    """Returns (dqkv,), of shape (B, T, 3C)."""
    # the gradient of the attention of all heads
    # ---- your code: begins here ----
    n_head, attention_cache = cache
    dheads = split_heads(dout, n_head)
    dq, dk, dv = causal_attention_backward(dheads, attention_cache)
    merged = [merge_heads(dq), merge_heads(dk), merge_heads(dv)]
    dqkv = np.concatenate(merged, axis=-1)
    return (dqkv,)
    # ---- your code: ends here ----


if __name__ == "__main__":
    n_head, t, d = 2, 4, 3
    # every number says where it is from: 100 * position + channel
    x = (100 * np.arange(t)[:, None] + np.arange(n_head * d))[None]
    heads = split_heads(x, n_head)
    print(f"x[0], {n_head} heads of {d} channels; the number is "
          f"100 * position + channel\n{x[0]}\n")
    print(f"yours, head 0\n{heads[0, 0]}\n")
    print(f"a bare reshape, head 0: positions 0 and 1, channels of both heads\n"
          f"{x.reshape(1, n_head, t, d)[0, 0]}\n")
    print("merge(split(x)) is x:", np.array_equal(merge_heads(heads), x))
