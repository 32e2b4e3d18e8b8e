"""How the embeddings are graded."""

import numpy as np

from npgpt.doctor import Program, diagnose_value


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


def table(x, weight, positions, dout, rows=None):
    """The gradient of the position table; `rows` is what is added at the positions."""
    dweight = np.zeros_like(weight)
    np.add.at(dweight, positions, dout.sum(axis=0) if rows is None else rows)
    return dweight


TABLE = Program("position table", table, [
    ("positions-ignored", lambda x, weight, positions, dout:
     table(x, weight, np.arange(len(positions)), dout),
     "the gradient goes to the first T rows: add it at `positions`, where forward read"),
    ("missing-broadcast-sum", lambda x, weight, positions, dout:
     table(x, weight, positions, dout, dout[0]),
     "only the first sequence counts: every sequence of the batch read these rows, so a sum over "
     "the batch is missing"),
    ("missing-broadcast-sum", lambda x, weight, positions, dout:
     table(x, weight, positions, dout, dout[-1]),
     "only the last sequence counts: every sequence of the batch read these rows, so a sum over "
     "the batch is missing"),
    ("mean-for-sum", lambda x, weight, positions, dout:
     table(x, weight, positions, dout, dout.mean(axis=0)),
     "a mean over the batch is taken where the sum belongs: every sequence read these rows"),
    ("wrong-axis", lambda x, weight, positions, dout:
     table(x, weight, positions, dout, dout.sum(axis=(0, 1))),
     "it is summed over the positions too: each position has a row of its own, so sum over the "
     "batch alone"),
    ("wrong-axis", lambda x, weight, positions, dout:
     np.concatenate([dout.sum(axis=1), np.zeros_like(weight[len(dout):])]),
     "it is summed over the positions and laid out by sequence: sum over the batch, axis 0"),
])


def grade(mine, g):
    """Ids that repeat within a sequence and across; positions from 0 and from the middle."""
    ids = np.array([[4, 1, 4, 6], [1, 1, 0, 4], [2, 5, 6, 1]])      # never 3 or 7
    weight, x, table = g.normal(8, 5), g.normal(3, 4, 5), g.normal(9, 5)
    positions = np.arange(4)
    g.values(TOKEN, mine.token_embedding_forward, ids, weight, axes="B T C")
    g.gradient(mine.token_embedding_forward, mine.token_embedding_backward, ids, weight)
    g.values(POSITION, mine.position_embedding_forward, x, table, positions, axes="B T C")
    g.values(POSITION, mine.position_embedding_forward, x, table, positions + 3, axes="B T C")
    named(mine, g, x, table, positions + 3)
    for places in (positions, positions + 3):
        g.gradient(mine.position_embedding_forward, mine.position_embedding_backward,
                   x, table, places)
    g.gradient(mine.token_embedding_forward, mine.token_embedding_backward, ids[:1, :1], weight)


def named(mine, g, x, weight, positions):
    """The mistakes in the position table's gradient that have a name here."""
    def given(x, weight, positions, dout):
        _, cache = mine.position_embedding_forward(x, weight, positions)
        return mine.position_embedding_backward(dout, cache)[1]

    report = diagnose_value(TABLE, given, x, weight, positions, g.normal(*x.shape))
    if not report.ok and report.findings[0].kind in [kind for kind, *_ in TABLE.variants]:
        fault = report.findings[0]
        g.fail(fault.kind, f"position_embedding_backward, gradient of weight: {fault.sentence}.",
               f"At dweight{report.where}: expected {report.expected}, got {report.got}.")


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
