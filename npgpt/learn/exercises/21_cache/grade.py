"""How the cache is graded: piece by piece, so that the first step that differs shows."""

import copy
import math
from dataclasses import replace

import numpy as np

from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.doctor.values.layers import softmax

PIECES = (3, 1, 1, 2, 1, 3)     # how many ids come at a time; the first piece is the prompt


def _run(function, inputs, settings):
    """The outputs of each call under the tokens that it read."""
    ids, _, p = copy.deepcopy(inputs)
    outs, cache, start = {}, None, 0
    for size in PIECES:
        if start >= len(ids):
            break
        piece = ids[start:start + size]
        answer = function(piece, cache, p, **settings)
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            return {"": answer}
        out, cache = answer
        last = start + len(piece) - 1
        name = f"the prompt, tokens 0 to {last}" if not start else (
            f"token {start}" if last == start else f"tokens {start} to {last}")
        outs[name] = np.array(out)
        start += size
    return outs


def _draw(rng, given, n):
    inputs, settings = PROGRAMS["cached_attention"].draw(rng, given, n)
    ids, prompt, p = inputs
    return (rng.integers(0, len(p["wte"]), 8 + n % 3), prompt, p), settings


def _attend(ids, past, p, start, visible):
    """The right step but for the first position and the mask."""
    keys, values = past
    x = p["wte"][ids] + p["wpe"][np.minimum(start + np.arange(len(ids)), len(p["wpe"]) - 1)]
    q = x @ p["q"]
    keys, values = np.concatenate([keys, x @ p["k"]]), np.concatenate([values, x @ p["v"]])
    scores = np.where(visible(len(ids), len(keys)), q @ keys.T / math.sqrt(q.shape[-1]), -np.inf)
    return softmax(scores) @ values, (keys, values)


def _empty(p):
    return np.zeros((0, p["k"].shape[1])), np.zeros((0, p["v"].shape[1]))


def _chunk_without_mask(ids, cache, p):
    past = cache or _empty(p)
    old = len(past[0])
    return _attend(ids, past, p, old, lambda new, seen: np.tri(
        new, seen, seen if old else 0, dtype=bool))


def _both_prepended(ids, cache, p):
    """New keys and values before the old ones, with the mask of the right order."""
    past = cache or _empty(p)
    out, (keys, values) = _attend(ids, past, p, len(past[0]),
                                  lambda new, seen: np.tri(new, seen, seen - new, dtype=bool))
    old, new = len(past[0]), len(ids)
    x = p["wte"][ids] + p["wpe"][old:old + new]
    keys, values = (np.concatenate([x @ p[n], past[i]]) for i, n in enumerate("kv"))
    scores = np.where(np.tri(new, old + new, old, dtype=bool),
                      x @ p["q"] @ keys.T / math.sqrt(keys.shape[-1]), -np.inf)
    return softmax(scores) @ values, (keys, values)


def _only_past(ids, cache, p):
    """Positions by the number of calls, not of tokens."""
    (past, calls) = cache or (_empty(p), 0)
    start = 0 if not calls else len(ids) and PIECES[0] + calls - 1
    out, past = _attend(ids, past, p, start, lambda new, seen: np.tri(
        new, seen, seen - new, dtype=bool))
    return out, (past, calls + 1)


def _one_position(ids, cache, p):
    """All new tokens at the position of the first of them."""
    past = cache or _empty(p)
    old = len(past[0])
    there = {**p, "wpe": np.repeat(p["wpe"][old:old + 1], len(p["wpe"]), 0)}
    if not old:
        there = p
    return _attend(ids, past, there, old, lambda new, seen: np.tri(
        new, seen, seen - new, dtype=bool))


def _positions_of_end(ids, cache, p):
    """Positions counted from the new length."""
    past = cache or _empty(p)
    return _attend(ids, past, p, len(past[0]) + len(ids), lambda new, seen: np.tri(
        new, seen, seen - new, dtype=bool))


def _no_scale(ids, cache, p):
    d = math.sqrt(p["q"].shape[1])
    return PROGRAMS["cached_attention"].function(ids, cache, {**p, "q": p["q"] * d})


def _no_positions(ids, cache, p):
    return PROGRAMS["cached_attention"].function(ids, cache, {**p, "wpe": 0 * p["wpe"]})


CACHE = replace(PROGRAMS["cached_attention"], run=_run, draw=_draw, variants=[
    *PROGRAMS["cached_attention"].variants,
    ("chunk-without-mask", _chunk_without_mask, "there is a mask for the prompt only: new tokens "
     "that come together later see each other's future"),
    ("keys-prepended", _both_prepended, "new keys and values are put before the old ones, but "
     "the mask hides the last columns: new ones belong behind"),
    ("positions-by-call", _only_past, "positions are counted by calls: a call may bring several "
     "tokens"),
    ("positions-constant", _one_position, "all tokens of a call after the prompt stand at the "
     "same position"),
    ("positions-of-end", _positions_of_end, "the positions are counted from the new length of the "
     "cache: it is the length before the new tokens"),
    ("scale-forgotten", _no_scale, "scores are not divided by sqrt(head size)"),
    ("positions-missing", _no_positions, "positions are not added"),
])


def _two_texts(mine):
    rng = np.random.default_rng(4)
    (ids, _, p), _ = _draw(rng, {}, 1)
    try:
        alone, _ = mine(ids[:4], None, p)
        mine(ids[4:6], None, p)
        again, _ = mine(ids[:4], None, p)
        alone, again = np.asarray(alone), np.asarray(again)
    except Exception:       # the values, which come next, say what is wrong
        return True
    return again.shape == alone.shape and bool(np.allclose(again, alone)) or (
        "The second text, begun with cache=None, comes out differently after another one was read: "
        "something is remembered outside the cache that is passed in.")


def _one_token(mine):
    (ids, _, p), _ = _draw(np.random.default_rng(4), {}, 1)
    out, _ = mine(ids[:1], None, p)
    value = (p["wte"][ids[0]] + p["wpe"][0]) @ p["v"]
    return np.shape(out) == (1, len(value)) and bool(np.allclose(out, value))


def grade(mine, g):
    """Each text afresh, then every piece against one long call."""
    g.probe("state-kept", "a second text that begins with cache=None knows nothing of the first",
            lambda: _two_texts(mine.step))
    g.values(CACHE, mine.step)
    g.probe("one-token", "a text of one token gives the value of that token",
            lambda: _one_token(mine.step))


def after():
    """What a cache costs and saves, computed from GPT-2's sizes."""
    from npgpt import GPT2Config

    config = GPT2Config.named("gpt2")
    per_token = 2 * config.n_layer * config.n_embd
    t = config.n_positions
    return (f"GPT-2's cache holds 2 x {config.n_layer} layers x {config.n_embd} numbers for each "
            f"token, {per_token * 4 / 1024:.0f} KB in float32, and {per_token * 4 * t / 2**20:.0f} "
            f"MB for all {t} positions. For that, writing {t} tokens computes {t} keys per layer "
            f"instead of {t * (t + 1) // 2}. When the position table ends, the cache is worth "
            "nothing: if the window slides by one, every token has a new position, and all keys "
            "change. Generation must then read the text again, or stop.")
