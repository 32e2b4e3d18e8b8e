"""Causal attention on a sentence, step by step: scores, scale, mask, softmax, mixing, heads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..display import drawing
from ..display.grids import LABEL, MOST_COLUMNS, draw_grid, fit, grid, number, visible
from ..display.terminal import page, tint, wrapped
from ..ids import check_integer
from ..layers.attention import merge_heads, split_heads, split_qkv
from ..layers.contract import Array
from ..opening import open_model
from ..ops import TEXTBOOK as ops
from ..probe.trace import Step, record

TEXT = "the cat saw the big dog"
CHANNELS, HEADS = 8, 2
CAPTION = """Attention is how a token learns of those before it. From each token's vector come three
    others: a query (what it looks for), a key (what it can be found by) and a value (what it
    passes on). A head compares one token's query with every key, turns the scores into weights
    that sum to 1, and takes that mixture of the values."""
DRAWN = """The vectors and matrices here are drawn at random: every step is the real one, but whom
    a token attends to means nothing yet. With --model RUN they are a trained model's."""


@dataclass(frozen=True, eq=False)
class Attention:
    """One layer's attention, by step; H heads, T tokens, D channels a head."""

    tokens: list[str]
    source: str
    """Where queries, keys and values come from."""
    head: int
    """The head that is shown in full."""
    q: Array
    """(H, T, D), as k and v."""
    k: Array
    v: Array
    scores: Array
    """(H, T, T): q @ k.T; row: who looks, column: at whom."""
    scaled: Array
    """(H, T, T): divided by sqrt(D)."""
    masked: Array
    """(H, T, T): -inf where the column lies in the row's future."""
    weights: Array
    """(H, T, T): softmax of each row."""
    mixed: Array
    """(H, T, D): weights @ v."""
    out: Array
    """(T, H * D): the heads side by side."""


def attention_demo(
    text: str = TEXT, model: Path | None = None, layer: int = 0, head: int = 0, seed: int = 2,
) -> Attention:
    """Attend within a text, cut into words, by vectors and matrices drawn for it.

    With `model`, a run or a folder of weights, the text is cut by its tokenizer and the numbers are
    those of its `layer`. `head` is shown in full. Raises ValueError for a text without a token,
    longer than the model's context, and a layer or head that is not there.
    """
    if model is None:
        tokens, source, n_head = text.split(), "drawn", HEADS
        check_integer("layer", layer, 0, 0)
    else:
        (trained, tokenizer), source = open_model(model), f"{model.name}, layer {layer}"
        check_integer("layer", layer, 0, trained.config.n_layer - 1)
        ids, n_head = tokenizer.encode(text), trained.config.n_head
        tokens = [tokenizer.decode([i]) for i in ids]
        if len(ids) > trained.config.n_positions:
            raise ValueError(f"the text has {len(ids)} tokens; {model.name} reads at most "
                             f"{trained.config.n_positions}")
    check_integer("head", head, 0, n_head - 1)
    if not tokens:
        raise ValueError("the text is empty; give at least one word")
    if model is None:
        qkv = _drawn(tokens, seed)
    else:
        steps: list[Step] = []
        record(trained.params, ids[None], ids[None], trained.config, steps.append, keep=False)
        (qkv,) = (step.out for step in steps if step.name == f"h.{layer}.attn.c_attn")
    q, k, v = (split_heads(part, n_head)[0] for part in split_qkv(qkv))         # (H, T, D) each
    scores = q @ k.swapaxes(-1, -2)                                             # (H, T, T)
    scaled = scores / math.sqrt(q.shape[-1])
    masked = np.where(np.tri(len(tokens), dtype=bool), scaled, -np.inf)
    weights = ops.softmax(masked)
    mixed = weights @ v                                                         # (H, T, D)
    return Attention([visible(token) for token in tokens], source, head, q, k, v, scores, scaled,
                     masked, weights, mixed, merge_heads(mixed[None])[0])


def _drawn(tokens: list[str], seed: int) -> Array:
    """qkv (1, T, 3C): a vector for each different word, through one drawn matrix."""
    rng = np.random.default_rng(seed)
    words = list(dict.fromkeys(tokens))
    weight = rng.standard_normal((CHANNELS, 3 * CHANNELS)) / math.sqrt(CHANNELS)
    table = rng.standard_normal((len(words), CHANNELS))
    ids = np.array([words.index(token) for token in tokens])
    qkv: Array = ops.linear(ops.token_embedding(ids, table), weight, None)[None]
    return qkv


def attention_text(shown: Attention, colour: bool = False) -> str:
    """The steps of one head as small matrices, then all heads; 80 columns."""
    n_head, length, d = shown.q.shape
    head, names = shown.head, shown.tokens[:MOST_COLUMNS]
    first = slice(0, len(names))

    def matrix(array: Array, marked: Array | None = None) -> list[str]:
        return grid(array[head, first, first], names, names, marked=marked, colour=colour)

    def title(step: int, what: str) -> str:
        return tint(f"{step}. {what}", "bold", colour)

    lines = [wrapped(CAPTION)]
    if shown.source == "drawn":
        lines += ["", wrapped(DRAWN)]
    else:
        lines += ["", wrapped(f"Queries, keys and values are those of {shown.source}.")]
    lines += ["", wrapped(
        f"{length} tokens, {n_head} heads of {d} channels; steps 1 to 5 show head {head}"
        + (f", and the first {len(names)} tokens." if length > len(names) else "."))]
    lines += ["", title(1, "scores: query . key. Row: who looks; column: at whom"),
              *matrix(shown.scores), *_one_score(shown), *_same_words(shown)]
    lines += ["", title(2, f"scaled by 1 / sqrt({d}) = {1 / math.sqrt(d):.3f}"),
              *matrix(shown.scaled), wrapped(_why_scaled(shown))]
    future = np.isneginf(shown.masked[head, first, first])
    lines += ["", title(3, "masked: the future is -inf, so that no token sees what follows it"),
              *matrix(shown.masked, future)]
    lines += ["", title(4, "weights: softmax of each row; exp(-inf) is 0, every row sums to 1"),
              *matrix(shown.weights, shown.weights[head, first, first] ==
                      shown.weights[head, first, first].max(axis=-1, keepdims=True))]
    lines += ["", title(5, f"mixed: what {names[-1]!r} takes from each value"), *_mixing(shown)]
    lines += ["", title(6, f"heads: each mixes in its own way; here the weights of {names[-1]!r}")]
    lines += grid(shown.weights[:, len(names) - 1, first], [f"head {h}" for h in range(n_head)],
                  names)
    lines += ["", wrapped(
        f"Side by side, {n_head} heads of {d} channels give back a vector of {n_head * d} for each "
        "token; one more matrix mixes them, and the result is added to the token's vector.")]
    return page(lines)


def _one_score(shown: Attention) -> list[str]:
    """The last score of the first column, product by product; for narrow heads alone."""
    last = min(len(shown.tokens), MOST_COLUMNS) - 1
    q, k = shown.q[shown.head, last], shown.k[shown.head, 0]
    if len(q) > 6:
        return []
    who, whom = shown.tokens[last], shown.tokens[0]
    lines = [fit(f"query of {who!r}", 22) + "".join(f"{number(x):>8}" for x in q),
             fit(f"key of {whom!r}", 22) + "".join(f"{number(x):>8}" for x in k),
             fit("their products", 22) + "".join(f"{number(x):>8}" for x in q * k)]
    return ["for example", *lines, f"which add up to {number(q @ k)}, in the last row"]


def _same_words(shown: Attention) -> list[str]:
    """Why two equal tokens have equal scores, where that is so."""
    again = next((t for t in shown.tokens[:MOST_COLUMNS] if shown.tokens.count(t) > 1), None)
    if again is None or shown.source != "drawn":
        return []
    return [wrapped(f"Each {again!r} has the same scores, since it has the same vector: attention "
                    "by itself knows no order. GPT-2 first adds a vector for the position.")]


def _why_scaled(shown: Attention) -> str:
    """How much sharper the row would be that scaling softens most."""
    scores, d = shown.scores[shown.head], shown.q.shape[-1]
    sharp = ops.softmax(np.where(np.isneginf(shown.masked[shown.head]), -np.inf, scores))
    gap = sharp.max(axis=-1) - shown.weights[shown.head].max(axis=-1)
    row = int(gap[:MOST_COLUMNS].argmax())
    return (f"A score is a sum of {d} products: the more channels, the larger, and softmax would "
            f"take one key alone. The largest weight of {shown.tokens[row]!r} is "
            f"{number(shown.weights[shown.head, row].max())} in step 4; without scaling it would "
            f"be {number(sharp[row].max())}.")


def _mixing(shown: Attention) -> list[str]:
    """One token's mixture of values, addend by addend; at most eight channels."""
    names = shown.tokens[:MOST_COLUMNS]
    place, head = len(names) - 1, shown.head
    values = shown.v[head, :, :MOST_COLUMNS - 2]                                # (T, up to 6)
    more = " ..." if shown.v.shape[-1] > values.shape[-1] else ""
    lines = [f"{'':{LABEL}}{'weight':>8}   value"]
    for name, weight, value in zip(names, shown.weights[head, place], values):
        numbers = "".join(f"{number(x):>8}" for x in value)
        lines.append(f"{fit(name, LABEL)}{number(weight):>8} x{numbers[1:]}{more}")
    numbers = "".join(f"{number(x):>8}" for x in shown.mixed[head, place, :values.shape[-1]])
    lines.append(f"{'sum':{LABEL}}{'':8} ={numbers[1:]}{more}")
    return lines


def attention_picture(shown: Attention) -> drawing.Figure:
    """A Figure: scores, masked scores and weights, a row for each of up to four heads."""
    others = [h for h in range(len(shown.q)) if h != shown.head]
    heads = sorted([shown.head, *others[:3]])
    names, first = shown.tokens[:MOST_COLUMNS], slice(0, MOST_COLUMNS)
    size = 1.2 + 0.42 * len(names)
    figure = drawing.new_figure(len(heads), 3, (3.2 * size, size * len(heads)))
    reach = float(np.abs(shown.scores[heads, first, first]).max())
    for row, h in enumerate(heads):
        panels = (("scores: q . k", shown.scores, reach),
                  ("scaled and masked", shown.masked, reach),
                  ("weights: softmax of each row", shown.weights, 1.0))
        for axes, (title, array, limit) in zip(figure.axes[3 * row:], panels):
            draw_grid(axes, array[h, first, first], names, names, f"head {h}: {title}",
                      reach=limit)
            axes.set_xlabel("at whom" if h == heads[-1] else "", fontsize=8)
        figure.axes[3 * row].set_ylabel("who looks", fontsize=8)
    return figure
