"""Sampling: temperature, top-k, top-p, greedy

difficulty: 2/5   importance: 4/5   about 25 minutes (estimated)

STORY

The model gives a score, a logit, for each of V tokens; a text needs one of
them. Always taking the best (greedy) makes texts that repeat themselves.
Drawing from all of softmax(logits) lets in nonsense: each of 50,000 poor tokens
is unlikely, but together they are drawn often. So one changes the
distribution before drawing, in three steps, always in this order:

1. Temperature divides the logits. Below 1 it makes the likely likelier; above
   1 it flattens. It acts on logits: dividing probabilities by a constant
   changes nothing once they are normalised. Temperature 0 is greedy: all
   probability on the largest logit. (It is a case of its own.)
2. Top-k keeps the k largest logits.
3. Top-p looks at what is left, as probabilities, from the largest down, and
   keeps tokens until their sum reaches p. The token that crosses p is kept:
   otherwise p = 0.5 would keep nothing at all where one token has 0.6.

Tokens that are not kept get the probability 0 exactly, and what is left sums
to 1 again.

You write the probabilities, not the draw. A draw can only be checked by
drawing thousands; a distribution can be compared number by number.

MATHEMATICS

    l_i = logits_i / temperature
    top-k   l_i = -inf unless l_i is among the k largest
    top-p   q = softmax(l), sorted from the largest: q_(1) >= q_(2) >= ...
            token number n in this order is kept if q_(1) + ... + q_(n-1) < p
    out = softmax(l) over the tokens that are kept

SHAPES

    logits    (V,)
    out       (V,)    out[i] is the probability of token i of the vocabulary
"""

import numpy as np

from npgpt.layers.softmax import softmax_forward
from npgpt.learn import NotBegun


def sampling(logits, *, temperature=1.0, top_k=None, top_p=None):
    """The probabilities (V,) of a draw; None switches a filter off."""
    # the probabilities of a draw
    # ---- your code: begins here ----
    if temperature == 0:
        out = np.zeros(len(logits))
        out[np.argmax(logits)] = 1.0
        return out
    kept = logits / temperature
    if top_k is not None:
        smallest = np.sort(kept)[-min(top_k, len(kept))]
        kept = np.where(kept >= smallest, kept, -np.inf)
    if top_p is not None:
        probs, _ = softmax_forward(kept)
        order = np.argsort(-probs)
        before = np.cumsum(probs[order]) - probs[order]
        dropped = order[before >= top_p]
        kept = kept.copy()
        kept[dropped] = -np.inf
    return softmax_forward(kept)[0]
    # ---- your code: ends here ----


if __name__ == "__main__":
    words = ["the", "a", "his", "that", "one", "blue", "seven", "of"]
    logits = np.array([3.0, 2.5, 1.8, 1.0, 0.6, -0.5, -1.0, -2.0])
    cases = {
        "as they are": {}, "T 0.5": {"temperature": 0.5},
        "T 2": {"temperature": 2.0}, "T 0": {"temperature": 0.0},
        "top-k 3": {"top_k": 3}, "top-p 0.8": {"top_p": 0.8},
        "T 2, k 5, p 0.8": {"temperature": 2.0, "top_k": 5, "top_p": 0.8}}
    columns = {name: sampling(logits, **case) for name, case in cases.items()}
    width = {name: max(len(name), 5) + 2 for name in columns}
    print(f"{'':6}" + "".join(f"{name:>{width[name]}}" for name in columns))
    for i, word in enumerate(words):
        print(f"{word:6}" + "".join(f"{probs[i]:{width[name]}.3f}"
                                    for name, probs in columns.items()))
