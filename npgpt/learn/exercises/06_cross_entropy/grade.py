"""How cross-entropy is graded."""

import functools

import numpy as np


def grade(mine, g):
    """The loss, then both gradients: with positions that do not count, and with dloss not 1."""
    forward = mine.cross_entropy_forward

    @functools.wraps(forward)
    def loss_of(logits, targets):
        return np.asarray(forward(logits, targets)[0])

    logits, targets = 2 * g.normal(2, 3, 7), g.ids(2, 3, below=7)
    some = targets.copy()
    some[0, 1] = -100
    g.values("cross_entropy", loss_of, logits, targets)
    g.values("cross_entropy", loss_of, logits, some)

    def ignores_what_it_is_told():
        marked = np.where(some == -100, 5, np.where(some == 5, 4, some))
        plain = np.where(some == 5, 4, some)
        return np.allclose(forward(logits, marked, ignore_index=5)[0], forward(logits, plain)[0])

    g.probe("ignore-index", "ignore_index=5 leaves out the targets that are 5",
            ignores_what_it_is_told)
    none = np.full((2, 3), -100)
    g.probe("nothing-counted", "when no position counts the loss is 0",
            lambda: float(forward(logits, none)[0]) == 0.0
            or f"It is {float(forward(logits, none)[0])}: a mean over nothing divides by 0.")

    for backward in (mine.cross_entropy_backward_staged, mine.cross_entropy_backward):
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
