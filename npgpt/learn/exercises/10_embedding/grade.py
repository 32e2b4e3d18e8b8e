"""How the embeddings are graded."""

import numpy as np

from npgpt.doctor import Program


def token(ids, weight):
    """What a lookup gives."""
    return weight[ids]


def position(x, weight, positions):
    """What the sum with positions gives."""
    return x + weight[positions]


TOKEN = Program("token_embedding", token, [
    ("ids-from-1", lambda ids, weight: weight[np.minimum(ids + 1, len(weight) - 1)],
     "ids are counted from 1; they count from 0"),
    ("embedding-scaled", lambda ids, weight: weight[ids] * np.sqrt(weight.shape[1]),
     "the row is scaled by sqrt(C); GPT-2 does not scale it"),
])
POSITION = Program("position_embedding", position, [
    ("positions-missing", lambda x, weight, positions: x, "positions are not added"),
    ("positions-from-1", lambda x, weight, positions: x + weight[positions + 1],
     "positions are counted from 1; they count from 0"),
    ("positions-ignored", lambda x, weight, positions: x + weight[:x.shape[1]],
     "the first T rows are added: `positions` says which rows, and may begin at any"),
    ("positions-multiplied", lambda x, weight, positions: x * weight[positions],
     "token and position are multiplied; they should be added"),
    ("positions-constant", lambda x, weight, positions: x + weight[0],
     "every position gets the first row"),
])


def grade(mine, g):
    """Ids that repeat within a sequence and across; positions from 0 and from the middle."""
    ids = np.array([[4, 1, 4, 6], [1, 1, 0, 4], [2, 5, 6, 1]])      # 3 is never read
    weight, x, table = g.normal(7, 5), g.normal(3, 4, 5), g.normal(9, 5)
    positions = np.arange(4)
    g.values(TOKEN, mine.token_embedding_forward, ids, weight, axes="B T C")
    g.gradient(mine.token_embedding_forward, mine.token_embedding_backward, ids, weight)
    g.values(POSITION, mine.position_embedding_forward, x, table, positions, axes="B T C")
    g.values(POSITION, mine.position_embedding_forward, x, table, positions + 3, axes="B T C")
    g.gradient(mine.position_embedding_forward, mine.position_embedding_backward,
               x, table, positions)
    g.gradient(mine.position_embedding_forward, mine.position_embedding_backward,
               x, table, positions + 3)
    g.gradient(mine.token_embedding_forward, mine.token_embedding_backward, ids[:1, :1], weight)


def after():
    """One thing worth knowing, with its numbers."""
    from pathlib import Path

    text = Path(__file__).with_name("exercise.py").read_text(encoding="utf-8")[:2048]
    kinds, counts = np.unique([*text], return_counts=True)
    lost = len(text) - len(kinds)
    return (f"Take the first {len(text)} characters of this exercise as a batch, one token each: "
            f"{len(kinds)} different ones, the most frequent {counts.max()} times. With "
            f"dweight[ids] = dout, {lost} of {len(text)} gradients ({lost / len(text):.0%}) would "
            "be lost without an error, and the loss would still fall: that is why this mistake "
            "lives long. np.add.at is exact but slow; a quicker form sorts the ids first, or "
            "multiplies by a matrix of zeros and ones.")
