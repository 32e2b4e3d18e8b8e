"""Batches, initial parameters and the loop

difficulty: 3/5   importance: 5/5   about 40 minutes (estimated)

STORY

You have layers, their gradients, and an optimiser. What stands between them
and a trained model is a page of plain code, and it is the page where faults
hide best, since nothing in it raises an error: the loss goes down whatever
you do.

Windows. A text is one long row of token ids. It is cut into windows of
`length` ids, one after the other. At every position the model predicts the
*next* token, so the targets of a window are the ids one place further on.
Shift them by 0, and the model copies what it sees: the loss falls to zero,
and the text that it writes is nonsense. Shift them twice, and it predicts the
token after the next one, which nobody asks it later.

Initial parameters. GPT-2 draws every matrix from N(0, 0.02^2), sets biases to
0, and the weights of its LayerNorms to 1. One thing is different: each of the
L blocks adds twice to the residual stream, through the two matrices called
c_proj. A sum of 2 L independent numbers grows like sqrt(2 L), so these are
drawn with 0.02 / sqrt(2 L).

There is a free test of all this. Before training, a model knows nothing and
gives each of the V tokens about the same probability: its loss is close to ln
V. A first loss of 40 where ln V is 4 means that the parameters are far too
large.

The loop. For each batch: gradients, then a step against them. The `model`
here adds its gradients to what already stands in `grads`, as PyTorch's
backward does; whoever calls it must begin with zeros. Dropout is on where an
rng is passed, so it belongs to training and not to evaluation.

MATHEMATICS

    loss = mean of -ln p(target | all ids before it)    at first about ln V
    p <- p - lr * dLoss/dp     for every parameter p, after every batch

SHAPES

    ids                (N,) integers
    inputs, targets    (windows, length) integers
    shapes             a dict: name -> shape
    params, grads      dicts: name -> array
    model(params, inputs, targets, grads, rng) -> the loss, a number
        grads    arrays to which the gradients are added; None: no gradients
        rng      a NumPy Generator for dropout; None: no dropout

grads["wte"] means dLoss/dwte, and has the shape of params["wte"].
"""

import math

import numpy as np

from npgpt.layers.cross_entropy import (
    cross_entropy_backward,
    cross_entropy_forward,
)
from npgpt.layers.dropout import dropout_backward, dropout_forward
from npgpt.layers.embedding import (
    token_embedding_backward,
    token_embedding_forward,
)
from npgpt.learn import NotBegun


def windows(ids, *, length):
    """(inputs, targets): all whole windows of ids, without overlap.

    A window needs length + 1 ids, since its last position has a target too.
    """
    # windows of a text
    # ---- your code: begins here ----
    starts = range(0, len(ids) - length, length)
    inputs = np.stack([ids[i:i + length] for i in starts])
    targets = np.stack([ids[i + 1:i + 1 + length] for i in starts])
    return inputs, targets
    # ---- your code: ends here ----


def initial(shapes, *, n_layer, rng):
    """The initial parameters of a GPT-2 with these shapes, by name.

    Names are GPT-2's: "wte.weight", "h.0.ln_1.weight", "h.0.ln_1.bias",
    "h.0.attn.c_proj.weight", "h.0.mlp.c_proj.bias", "ln_f.weight" ...
    A weight with one axis belongs to a LayerNorm.
    """
    # initial parameters
    # ---- your code: begins here ----
    params = {}
    for name, shape in shapes.items():
        if name.endswith(".bias"):
            params[name] = np.zeros(shape)
        elif len(shape) == 1:
            params[name] = np.ones(shape)
        else:
            std = 0.02
            if name.endswith("c_proj.weight"):
                std /= math.sqrt(2 * n_layer)
            params[name] = std * rng.standard_normal(shape)
    return params
    # ---- your code: ends here ----


def fit(params, batches, held_out, *, model, lr, epochs, rng):
    """Two lists: the loss of every step, the held-out loss of every epoch.

    batches is a list of (inputs, targets), gone through once an epoch, in
    order; held_out is one such pair, and is evaluated after each epoch. Train
    with dropout, evaluate without. The parameters change in the dict `params`.
    """
    # the training loop
    # ---- your code: begins here ----
    losses, held_out_losses = [], []
    for _ in range(epochs):
        for inputs, targets in batches:
            grads = {name: np.zeros_like(p) for name, p in params.items()}
            losses.append(model(params, inputs, targets, grads, rng))
            for name in params:
                params[name] = params[name] - lr * grads[name]
        held_out_losses.append(model(params, *held_out, None, None))
    return losses, held_out_losses
    # ---- your code: ends here ----


def bigram(params, inputs, targets, grads=None, rng=None):
    """Given: the smallest language model, table (V, V).

    Its row i scores what follows token i.
    """
    looked_up, lookup_cache = token_embedding_forward(inputs, params["table"])
    rate = 0.1 if rng is not None else 0.0
    logits, dropout_cache = dropout_forward(looked_up, rate=rate, rng=rng)
    loss, loss_cache = cross_entropy_forward(logits, targets)
    if grads is not None:
        dlogits, _ = cross_entropy_backward(np.float64(1.0), loss_cache)
        (dlooked_up,) = dropout_backward(dlogits, dropout_cache)
        _, dtable = token_embedding_backward(dlooked_up, lookup_cache)
        grads["table"] += dtable
    return float(loss)


if __name__ == "__main__":
    text = ("the sun rises in the east and the sun sets in the west, "
            "and then the stars rise. ") * 8
    letters = sorted(set(text))
    ids = np.array([letters.index(letter) for letter in text])
    rng = np.random.default_rng(0)
    inputs, targets = windows(ids[:540], length=12)
    shapes = {"table": (len(letters), len(letters))}
    params = initial(shapes, n_layer=1, rng=rng)
    losses, held_out = fit(
        params, [(inputs[i::4], targets[i::4]) for i in range(4)],
        windows(ids[540:], length=12), model=bigram, lr=5.0, epochs=30, rng=rng)
    print(f"{len(letters)} letters, so ln V is {math.log(len(letters)):.3f}; "
          f"the first loss is {losses[0]:.3f}")
    for epoch in range(0, 30, 3):
        bar = "#" * round(15 * held_out[epoch])
        print(f"epoch {epoch + 1:3}  held out {held_out[epoch]:.3f}  {bar}")
    letter, line = letters.index("t"), "t"
    for _ in range(60):
        scores = params["table"][letter]
        odds = np.exp(scores - scores.max())
        letter = rng.choice(len(letters), p=odds / odds.sum())
        line += letters[letter]
    print("it writes:", line)
