"""How the tied head is graded."""

import numpy as np

from npgpt.doctor import Program, diagnose_value


def unembedding(x, wte):
    """The scores of x."""
    return x @ wte.T


def model(ids, wte, weight):
    """The tied model's logits."""
    return np.tanh(wte[ids] @ weight) @ wte.T


def table(ids, wte, weight, dout, scores=1.0, lookup=1.0, rows="add", slope=True):
    """The gradient of wte, from its two uses."""
    x = wte[ids]
    hidden = np.tanh(x @ weight)
    dx = (dout @ wte * ((1 - hidden**2) if slope else 1)) @ weight.T
    dwte = scores * np.einsum("btv,btc->vc", dout, hidden)
    if rows == "add":
        np.add.at(dwte, ids, lookup * dx)
    elif rows == "first":
        np.add.at(dwte, ids[0], dx[0])
    elif rows == "overwrite":
        dwte[ids] = dx
    else:
        dwte[ids] += dx
    return dwte


SCORES = Program("unembedding", unembedding, [
    ("logits-scaled", lambda x, wte: x @ wte.T / np.sqrt(x.shape[-1]),
     "the logits are divided by sqrt(C); GPT-2 does not scale them"),
    ("softmax-on-logits", lambda x, wte: softmax(x @ wte.T),
     "softmax is applied: logits are what comes before it"),
])
MODEL = Program("tied_forward", model, [
    ("hidden-skipped", lambda ids, wte, weight: wte[ids] @ wte.T,
     "the scores are those of x, not hidden"),
    ("activation-left-out", lambda ids, wte, weight: wte[ids] @ weight @ wte.T,
     "tanh is left out"),
    ("weight-transposed", lambda ids, wte, weight: model(ids, wte, weight.T),
     "the weight is transposed: hidden = tanh(x @ weight)"),
    ("softmax-on-logits", lambda ids, wte, weight: softmax(model(ids, wte, weight)),
     "softmax is applied: logits are what comes before it"),
])
BOTH = "the table is used at both ends, and its gradient is the sum of two parts"
TABLE = Program("tied_backward", table, [
    ("output-part-missing", lambda *a: table(*a, scores=0.0),
     f"the part through the output matrix is missing, or overwritten: {BOTH}"),
    ("lookup-part-missing", lambda *a: table(*a, lookup=0.0),
     f"the part through the lookup is missing, or overwritten: {BOTH}"),
    ("accumulated-twice", lambda *a: table(*a, scores=2.0),
     "the part through the output matrix is added twice"),
    ("accumulated-twice", lambda *a: table(*a, lookup=2.0),
     "the part through the lookup is added twice"),
    ("accumulated-twice", lambda *a: 2 * table(*a), "both parts are added twice"),
    ("factor", lambda *a: table(*a) / 2,
     "it is half of what it should be: the two parts add up, no mean is taken"),
    ("repeated-ids-overwritten", lambda *a: table(*a, rows="last"),
     "where a token comes twice, only its last reading is added: use an unbuffered add (np.add.at "
     "or the package's token_embedding_backward)"),
    ("overwritten", lambda *a: table(*a, rows="overwrite"),
     "in the rows of the tokens that were read, the lookup's part replaces the scores' part: add "
     "it, and add each reading of a token that comes twice"),
    ("batch-dropped", lambda *a: table(*a, rows="first"),
     "only the first sequence's readings are added to the lookup's part"),
    ("missing-factor", lambda *a: table(*a, slope=False),
     "the slope of tanh, 1 - hidden^2, is missing on the way from the scores to the lookup"),
    ("wrong-sign", lambda *a: table(*a, lookup=-1.0), "the lookup's part has the wrong sign"),
])


def softmax(x):
    """exp of x, each row divided by its sum."""
    exps = np.exp(x - x.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def grade(mine, g):
    """The scores, then both ends: ids that repeat, and rows of the table that are never read."""
    x, wte = g.normal(2, 3, 5), 0.7 * g.normal(7, 5)
    g.values(SCORES, mine.unembedding_forward, x, wte, axes="B T V")
    g.gradient(mine.unembedding_forward, mine.unembedding_backward, x, wte)
    ids, weight = np.array([[4, 1, 4], [1, 1, 0]]), 0.6 * g.normal(5, 5)
    g.values(MODEL, mine.tied_forward, ids, wte, weight, axes="B T V")
    named(mine, g, ids, wte, weight)
    g.gradient(mine.tied_forward, mine.tied_backward, ids, wte, weight)
    g.gradient(mine.tied_forward, mine.tied_backward, ids[:1, :1], wte, weight)


def named(mine, g, ids, wte, weight):
    """The mistakes in the table's gradient that have a name here; the doctor looks for others."""
    def given(ids, wte, weight, dout):
        _, cache = mine.tied_forward(ids, wte, weight)
        return mine.tied_backward(dout, cache)[1]

    report = diagnose_value(TABLE, given, ids, wte, weight, g.normal(*ids.shape, len(wte)))
    if not report.ok and report.findings[0].kind in [kind for kind, *_ in TABLE.variants]:
        fault = report.findings[0]
        g.fail(fault.kind, f"tied_backward, gradient of wte: {fault.sentence}.",
               f"At dwte{report.where}: expected {report.expected}, got {report.got}.")


def after():
    """One thing worth knowing, with its numbers."""
    from npgpt.config import GPT2Config
    from npgpt.params import parameter_shapes

    rng = np.random.default_rng(0)
    v, c = 200, 32
    ids = rng.integers(0, v, (4, 16))
    wte, weight = rng.standard_normal((v, c)) * 0.1, rng.standard_normal((c, c)) / c**0.5
    probs = softmax(model(ids, wte, weight))
    probs[np.arange(4)[:, None], np.arange(16), rng.integers(0, v, ids.shape)] -= 1
    dout = probs / ids.size     # the gradient of cross-entropy
    scores, lookup = (np.linalg.norm(table(ids, wte, weight, dout, lookup=on, scores=1 - on))
                      for on in (0.0, 1.0))
    rows = len(np.unique(ids))
    gpt2 = GPT2Config(vocab_size=50257, n_positions=1024, n_embd=768, n_layer=12, n_head=12)
    size = sum(int(np.prod(shape)) for shape in parameter_shapes(gpt2).values())
    second = gpt2.vocab_size * gpt2.n_embd
    return (f"In a small new model ({v} tokens, {ids.size} positions) the two parts of dwte have "
            f"norms of {scores:.3f} (scores) and {lookup:.3f} (lookup): neither can be left out. "
            f"The scores' part fills all {v} rows, the lookup's {rows}. GPT-2 small has {size:,} "
            f"parameters; untied, a second table would add {second:,}, or "
            f"{second / size:.0%}.")
