"""Drafts by prompt look-up: where the last tokens came before, propose what followed them then.

Text that repeats itself (code, lists, quotations, a summary of its prompt) is guessed well; other
text gives no draft and costs nothing. The writer verifies a whole draft in one pass.

Source     Saxena 2023, "Prompt lookup decoding"; the copying beyond the text's end as in
           Ziv, Lempel 1977
"""

from __future__ import annotations

from typing import Sequence

import numpy as np

LONGEST_MATCH = 4
SHORTEST_MATCH = 2
FIRST_DRAFT = 4
LONGEST_DRAFT = 15


def propose(text: Sequence[int], count: int) -> list[int]:
    """Up to `count` tokens that may follow `text`, from its latest repetition; [] without one.

    The longest of the last LONGEST_MATCH to SHORTEST_MATCH tokens that came before decides. A
    repetition that reaches the end goes on with itself: a b a b gives a b a b ...
    """
    tokens = np.asarray(text)
    for length in range(LONGEST_MATCH, SHORTEST_MATCH - 1, -1):
        if count < 1 or len(tokens) <= length:
            continue
        ending = tokens[-length:]
        earlier = np.lib.stride_tricks.sliding_window_view(tokens[:-1], length)
        found = np.flatnonzero((earlier == ending).all(axis=1))
        if len(found):
            following = tokens[int(found[-1]) + length:]
            return [int(token) for token in np.resize(following, count)]
    return []


def next_length(length: int, drafted: int, accepted: int) -> int:
    """How many tokens to draft next, after `length`: more if the draft held, fewer if it did not.

    Of the `drafted` tokens the first `accepted` were right; without a draft it stays as it was.
    """
    if drafted and accepted == drafted:
        return min(2 * length, LONGEST_DRAFT)
    return min(length, accepted + 1) if drafted else length
