"""How cross-entropy is graded."""

import functools
from dataclasses import replace

import numpy as np

from npgpt.doctor import Program
from npgpt.doctor.values.catalogue import PROGRAMS


def _dlogits(logits, targets, dloss, *, wrong=None):
    """dlogits, with one mistake made."""
    rows, flat = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
    counted, n = flat != -100, np.arange(len(flat))
    p = np.exp(rows - rows.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    onehot = np.zeros_like(p)
    onehot[n, np.where(counted, flat, 0)] = 1
    if wrong == "all positions":
        onehot[:, np.where(counted, flat, 0)] = 1
    if wrong == "all counted":
        onehot[:, flat[counted]] = 1
    counts = counted[:, None] / {"all": len(flat), "1": 1, "sequences": len(targets)}.get(
        wrong, max(counted.sum(), 1))
    gap = {"p only": p, "sign": onehot - p, "one-hot only": -onehot, "added": p + onehot,
           "subtracted everywhere": p - 1}.get(wrong, p - onehot)
    if wrong in ("diagonal", "p (1 - p)"):
        gap = (p - 1) * onehot if wrong == "diagonal" else onehot * p * (p - 1)
    return {"dlogits": (dloss * counts * gap).reshape(logits.shape)}


KNOWN = [
    ("onehot-all-rows", "all positions", "the 1 of each target is subtracted in every row: [:, "
     "targets] takes all positions; it takes two index arrays, [rows, targets]"),
    ("onehot-all-rows", "all counted", "the 1 of each target is subtracted in every row: [:, "
     "targets] takes all positions; it takes two index arrays, [rows, targets]"),
    ("ignored-in-mean", "all", "it is divided by the number of all positions; the loss is a mean "
     "over those that count"),
    ("sum-for-mean", "1", "it is not divided by the number of positions that count: the loss is "
     "their mean"),
    ("sum-for-mean", "sequences", "it is divided by the number of sequences; the loss is a mean "
     "over positions"),
    ("one-hot-forgotten", "p only", "the target is never subtracted: the gradient does not know "
     "the text"),
    ("wrong-sign", "sign", "the sign is wrong: the loss falls when the target's logit rises, so "
     "its gradient is negative"),
    ("softmax-diagonal", "diagonal", "1/p and p (1 - p) are multiplied element by element, which "
     "is softmax's diagonal only: every logit of a row moves the target's p"),
    ("softmax-diagonal", "p (1 - p)", "p (1 - p) is softmax's diagonal only, and the logarithm's "
     "1/p is missing"),
    ("missing-term", "one-hot only", "only the target's own logit gets a gradient: the path "
     "through the sums of exps is missing, which every logit of the row feeds"),
    ("term-sign", "added", "the target is added where it is to be subtracted"),
    ("wrong-element", "subtracted everywhere", "1 is subtracted from every element of the row: "
     "only the target's"),
]
BACKWARD = Program("cross_entropy", _dlogits, [
    (kind, functools.partial(_dlogits, wrong=wrong), sentence) for kind, wrong, sentence in KNOWN])


def _draw(rng, settings, n):
    """The doctor's inputs, but for two: a softmax and its logarithm, one after the other, are right
    as well, so no probability may be so small that it becomes 0."""
    inputs, drawn = LOSS.draw(rng, settings, 0 if n in (2, 3) else n)
    logits, targets = inputs
    if n == 2:
        logits[0, 0] += 900             # exp overflows unless the maximum is subtracted
    if n == 3:
        logits[0, 0, targets[0, 0]] -= 30   # something added inside of the logarithm shows
    return (logits, targets), drawn


def _dloss_dropped(dlogits, logits, targets):
    try:
        once, twice = (np.asarray(dlogits(logits, targets, dloss)["dlogits"], float)
                       for dloss in (1.0, 2.0))
    except (LookupError, TypeError, ValueError):    # what went wrong is for the doctor
        return False
    return bool(np.any(once)) and np.array_equal(once, twice)


def _loss(logits, targets, *, wrong):
    """The loss with one mistake made."""
    rows, flat = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
    counted, n = flat != -100, np.arange(len(flat))
    safe = np.where(counted, flat, 0)
    shifted = rows - rows.max(-1, keepdims=True)
    sums = np.exp(shifted).sum(-1, keepdims=True)
    log_p = shifted - np.log(sums)
    if wrong == "log2":
        log_p = shifted - np.log2(sums)
    if wrong == "axis 0":
        log_p = shifted - np.log(np.exp(shifted).sum(0))
    if wrong == "axis 0 alone":
        shifted = rows - rows.max(0)
        log_p = shifted - np.log(np.exp(shifted).sum(0))
    if wrong == "no sums":
        log_p = shifted
    if wrong == "sums alone":
        log_p = -np.log(sums)
    if wrong == "sums not logged":
        log_p = shifted - sums
    picked = log_p[:, safe] * counted if wrong == "all rows" else log_p[n, safe] * counted
    if wrong == "all rows counted":
        picked = log_p[:, flat[counted]]
    if wrong == "whole row":
        picked = log_p * counted[:, None]
    return -picked.sum() / max(counted.sum(), 1)


LOSS = PROGRAMS["cross_entropy"]
FORWARD = replace(LOSS, draw=_draw, variants=[*LOSS.variants, *(
    (kind, functools.partial(_loss, wrong=wrong), sentence) for kind, wrong, sentence in [
        ("loss-in-bits", "log2",
         "log2 stands where log is meant: exp undoes the natural logarithm"),
        ("softmax-wrong-axis", "axis 0", "the sums run over the positions: each position's run "
                                         "over its own V logits"),
        ("softmax-wrong-axis", "axis 0 alone", "maximum and sums run over the positions: each "
                                               "position's run over its own V logits"),
        ("logsumexp-forgotten", "no sums",
         "the log of the sums is not subtracted: log_p = shifted - log(sums)"),
        ("logits-forgotten", "sums alone", "the target's own logit is missing: log_p = shifted - "
                                           "log(sums)"),
        ("log-forgotten", "sums not logged", "the sums are subtracted without their logarithm: "
                                             "log_p = shifted - log(sums)"),
        ("onehot-all-rows", "all rows", "every row is scored on the targets of all rows: "
                                        "[:, targets] takes them all; take two index arrays, "
                                        "[rows, targets]"),
        ("onehot-all-rows", "all rows counted", "every row is scored on the targets of all rows: "
                                                "take two index arrays, [rows, targets]"),
        ("target-forgotten", "whole row", "all of log_p is summed: only the target's element of "
                                          "each row belongs to the loss"),
    ])])


def grade(mine, g):
    """The loss, then both gradients: with positions that do not count, and with dloss not 1."""
    forward = mine.cross_entropy_forward

    @functools.wraps(forward)
    def loss_of(logits, targets, **settings):
        given = forward(logits, targets, **settings)
        return np.asarray(given[0] if isinstance(given, tuple) else given)

    logits, targets = 2 * g.normal(2, 3, 7), g.ids(2, 3, below=7)
    some = targets.copy()
    some[0, 1] = -100
    g.values(FORWARD, loss_of, logits, targets)
    g.values(FORWARD, loss_of, logits, some)

    def ignores_what_it_is_told():
        plain = np.where(some == 5, 4, some)
        marked = np.where(some == -100, 5, plain)
        got, want = loss_of(logits, marked, ignore_index=5), loss_of(logits, plain)
        return np.allclose(got, want) or f"The loss is {got:.9g}; expected {want:.9g}."

    g.probe("ignore-index", "ignore_index=5 leaves out the targets that are 5",
            ignores_what_it_is_told)
    none = np.full((2, 3), -100)
    g.probe("nothing-counted", "when no position counts the loss is 0",
            lambda: float(loss_of(logits, none)) == 0.0
            or f"It is {float(loss_of(logits, none))}: a mean over nothing divides by 0.")

    for backward in (mine.cross_entropy_backward_staged, mine.cross_entropy_backward):
        @functools.wraps(backward)
        def dlogits(logits, targets, dloss, backward=backward):
            given = backward(dloss, forward(logits, targets)[1])
            return {"dlogits": given[0] if isinstance(given, tuple) else given}

        found = len(g.findings)
        g.known(BACKWARD, dlogits, logits, some, 0.7)
        if len(g.findings) > found:     # the doctor would say it again under another name
            continue
        if _dloss_dropped(dlogits, logits, some):
            g.fail("missing-factor", f"{backward.__name__} gives the same for dloss = 1 and dloss "
                   "= 2: dloss is a factor of every gradient")
        g.gradient(forward, backward, logits, some)
        g.probe("nothing-counted", f"when no position counts {backward.__name__} gives 0",
                lambda backward=backward: not np.any(
                    backward(1.0, forward(logits, none)[1])[0]))


def after():
    """The loss of a model that knows nothing, and the gradient of it."""
    from npgpt.config import GPT2Config

    vocab = GPT2Config.named("gpt2").vocab_size
    return (f"A model that has learnt nothing gives each of GPT-2's {vocab:,} tokens the same "
            f"probability, and its loss is ln({vocab:,}) = {np.log(vocab):.2f}: look for this "
            "number in the first line of any training run. And each row of dlogits sums to 0, so "
            "the gradient only moves belief from one token to another.")
