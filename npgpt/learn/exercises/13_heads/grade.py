"""How many heads are graded."""

import dataclasses

import numpy as np

from npgpt.doctor import Program, diagnose_value
from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.layers.attention import causal_attention_backward, causal_attention_forward


def split(x, n_head):
    """(B, T, C) -> (B, H, T, D)."""
    b, t, c = x.shape
    return x.reshape(b, t, n_head, c // n_head).swapaxes(1, 2)


def merge(heads):
    """(B, H, T, D) -> (B, T, C)."""
    b, h, t, d = heads.shape
    return heads.swapaxes(1, 2).reshape(b, t, h * d)


def bare(x, h):
    """What a reshape alone makes of x (B, T, C)."""
    return x.reshape(len(x), h, x.shape[1], -1)


def flat(heads):
    """What a reshape alone makes of heads (B, H, T, D)."""
    return heads.reshape(len(heads), heads.shape[2], -1)


def gradient(qkv, dout, *, n_head, down=split, up=merge, order=(0, 1, 2), keep=(1, 1, 1),
             scale=lambda c, d: d):
    """dqkv of the right forward, by a backward that may have one mistake; scores are divided by
    the root of scale(C, D)."""
    parts = (split(part, n_head) for part in np.split(qkv, 3, axis=-1))
    _, cache = causal_attention_forward(*parts)
    found = causal_attention_backward(down(dout, n_head), cache)
    d = found[0].shape[-1]
    root = np.sqrt(d / scale(dout.shape[-1], d))
    return np.concatenate([keep[n] * (root if n < 2 else 1) * up(found[n]) for n in order], axis=-1)


def mistake(**wrong):
    """That backward with a mistake in it."""
    return lambda qkv, dout, *, n_head: gradient(qkv, dout, n_head=n_head, **wrong)


def scaled(width):
    """Attention of all heads with scores divided by the root of width(C, H)."""
    def attend(qkv, *, n_head):
        c = qkv.shape[-1] // 3
        q, k, v = (split(part, n_head) for part in np.split(qkv, 3, axis=-1))
        q = q * np.sqrt(c / n_head / width(c, n_head))
        return merge(causal_attention_forward(q, k, v)[0])

    return attend


BACKWARD = Program("multi_head_attention_backward", gradient, [
    ("axes-swapped", mistake(down=bare),
     "dout is cut into heads by a bare reshape: merge was the last step of forward, so its way "
     "back is split, which cuts the channels and then swaps heads and positions"),
    ("axes-swapped", mistake(up=flat),
     "dq, dk and dv are laid side by side by a bare reshape: the way back of split is merge, which "
     "swaps heads and positions first"),
    ("axes-swapped", mistake(down=bare, up=flat),
     "dout is cut by a bare reshape, and dq, dk and dv are joined by one: backward needs the swap "
     "of heads and positions at both ends, as forward does"),
    *[("factor", mistake(scale=scale),
       f"the gradients of q and k {words}: forward divides the scores by sqrt(D), and so does "
       "backward, once") for scale, words in (
        (lambda c, d: 1.0, "lack the division by sqrt(D)"),
        (lambda c, d: d * d, "are divided by D, not by sqrt(D)"),
        (lambda c, d: c, "are divided by sqrt(C), the width of all heads, not by sqrt(D)"))],
    *[("arguments-swapped", mistake(order=order),
       "dq, dk and dv are laid side by side in another order: forward cuts q, k, v")
      for order in ((1, 0, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0), (2, 0, 1))],
    *[("zero-gradient", mistake(keep=tuple(int(n != lost) for n in range(3))),
       f"the gradient of {'qkv'[lost]} is missing: its {C} channels are zeros")
      for lost, C in enumerate(("first C", "second C", "last C"))],
])
SPLIT = Program("split_heads", split, [
    ("heads-split-bare", bare,
     "heads are split by a bare reshape, which mixes positions with channels: split the channels, "
     "then swap heads and positions"),
    ("heads-dealt", lambda x, h: x.reshape(*x.shape[:2], -1, h).transpose(0, 3, 1, 2),
     "channels are dealt to the heads in turn: a head is a run of neighbouring channels"),
    ("head-count-for-size", lambda x, h: split(x, x.shape[-1] // h),
     "the number of heads is taken for the size of a head"),
    ("heads-split-bare", lambda x, h: x.reshape(len(x), h, -1, x.shape[1]).swapaxes(2, 3),
     "heads are split by a reshape to (B, H, D, T), which mixes positions with channels: split the "
     "channels, then swap heads and positions"),
    ("heads-reversed", lambda x, h: split(x, h)[:, ::-1], "the heads are in reverse order"),
])
ALL = dataclasses.replace(PROGRAMS["multi_head_attention"], variants=[
    *PROGRAMS["multi_head_attention"].variants,
    *[(f"scale-of-{name}", scaled(width), f"scores are divided by sqrt({words}), not by sqrt(head "
       "size)") for name, words, width in (
        ("head-count", "n_head", lambda c, h: h), ("qkv-width", "3C", lambda c, h: 3 * c))],
    ("qkv-interleaved", lambda qkv, *, n_head: scaled(lambda c, h: c / h)(
        np.concatenate([qkv[..., n::3] for n in range(3)], axis=-1), n_head=n_head),
     "every third channel is taken: q is the first C channels in a row, then come k and v"),
])
MERGE = Program("merge_heads", merge, [
    ("heads-merged-bare", flat,
     "heads are merged by a bare reshape, which mixes heads with positions: swap heads and "
     "positions back first"),
    ("heads-merged-dealt", lambda x: x.transpose(0, 2, 3, 1).reshape(len(x), x.shape[2], -1),
     "heads are merged channel by channel: each head is a run of neighbouring channels"),
    ("heads-merged-bare", lambda x: x.swapaxes(2, 3).reshape(len(x), x.shape[2], -1),
     "positions and channels are swapped before the reshape; swap heads and positions"),
    ("heads-reversed", lambda x: merge(x[:, ::-1]), "the heads are in reverse order"),
    ("heads-averaged", lambda x: np.tile(x.mean(1), x.shape[1]),
     "the heads are averaged; they belong side by side"),
])


def grade(mine, g):
    """Split, merge, the values of all, causality, gradients; one head, as many heads as channels.
    """
    x, heads = g.normal(2, 5, 12), g.normal(2, 3, 5, 4)
    g.values(SPLIT, mine.split_heads, x, 3, axes="B H T D")
    g.values(MERGE, mine.merge_heads, heads, axes="B T C")
    forward, backward = mine.multi_head_attention_forward, mine.multi_head_attention_backward
    qkv = g.normal(2, 4, 45)
    g.values(ALL, forward, qkv, n_head=3, axes="B T C")
    named(mine, g, qkv)
    g.gradient(forward, backward, qkv, n_head=3)
    g.probe("sees-the-future", "a later position changes nothing at an earlier one",
            lambda: causal(lambda x: np.asarray(forward(x, n_head=3)[0]), qkv))
    g.gradient(forward, backward, qkv[:1, :1], n_head=1)
    g.gradient(forward, backward, g.normal(1, 3, 6), n_head=2)


def named(mine, g, qkv):
    """The mistakes in backward that have a name here; the doctor looks for all others."""
    def given(qkv, dout, *, n_head):
        _, cache = mine.multi_head_attention_forward(qkv, n_head=n_head)
        dqkv = mine.multi_head_attention_backward(dout, cache)
        return dqkv[0] if isinstance(dqkv, tuple) else dqkv

    report = diagnose_value(BACKWARD, given, qkv, g.normal(2, 4, 15), n_head=3)
    kinds = [kind for kind, *_ in BACKWARD.variants]
    if not report.ok and report.findings[0].kind in kinds:
        fault = report.findings[0]
        g.fail(fault.kind, f"multi_head_attention_backward: {fault.sentence}.",
               f"At dqkv{report.where}: expected {report.expected}, got {report.got}.")


def causal(attend, qkv):
    """A sentence that names the first position which a later one changes; else True."""
    before = attend(qkv)
    for t in range(1, qkv.shape[1]):
        changed = qkv.copy()
        changed[:, t:] += 1.0
        moved = np.abs(attend(changed) - before)[:, :t].max()
        if not moved < 1e-12:
            return f"Changing positions from {t} on moves the output before them by {moved:.1e}."
    return True


def after():
    """One thing worth knowing, with its numbers."""
    t, h, d = 64, 12, 64        # a text of 64 tokens in GPT-2 small
    position = np.broadcast_to(np.arange(t)[:, None], (t, h * d))
    right = split(position[None], h)[0]
    bare = position.reshape(h, t, d)
    wrong = (right != bare).mean()
    seen = len({*bare[0].ravel().tolist()})
    return (f"In GPT-2 small with {t} tokens, a bare reshape puts {wrong:.1%} of all numbers at "
            f"the wrong position, and its head 0 sees {seen} of the {t} positions. The shape is "
            "right, nothing raises, and the model trains. A test that only trains it passes; one "
            "that changes a late token and looks at an early output does not.")
