"""How the cache is graded: piece by piece, so that the first step that differs shows."""

import copy
import math
from dataclasses import replace

import numpy as np

from npgpt.doctor import diagnose_value
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


def _lower(new, seen):
    """Which keys each new token may see."""
    return np.tri(new, seen, seen - new, dtype=bool)


def _attend(ids, past, p, place, visible=_lower, hidden=-np.inf, scale=None, axis=-1):
    """A step with these positions, and with another mask, scale or axis."""
    keys, values = past
    place = np.minimum(place + np.zeros(len(ids), int), len(p["wpe"]) - 1)
    x = p["wte"][ids] + p["wpe"][place]
    q = x @ p["q"]
    keys, values = np.concatenate([keys, x @ p["k"]]), np.concatenate([values, x @ p["v"]])
    scores = q @ keys.T / (math.sqrt(q.shape[-1]) if scale is None else scale)
    scores = np.where(visible(len(ids), len(keys)), scores, hidden)
    weights = softmax(scores) if axis == -1 else softmax(scores.T).T
    return weights @ values, (keys, values)


def _other(**changes):
    """The right step but for some of what _attend takes."""
    def other(ids, cache, p):
        past = cache or _empty(p)
        place = changes.get("place", lambda old, ids: old + np.arange(len(ids)))
        scale = changes.get("scale", math.sqrt)(p["q"].shape[1])
        rest = {name: changes[name] for name in ("visible", "hidden", "axis") if name in changes}
        out, (keys, values) = _attend(
            ids, past, p, place(len(past[0]), ids), scale=scale, **rest)
        stored = changes.get("stored", lambda keys, values, old: (keys, values))
        return out, stored(keys, values, len(past[0]))

    return other


def _keys_mixed(ids, cache, p):
    return _other()(ids, cache, {**p, "v": p["k"]})


def _empty(p):
    return np.zeros((0, p["k"].shape[1])), np.zeros((0, p["v"].shape[1]))


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


def _by_call(ids, cache, p):
    """Positions by the number of calls, not of tokens."""
    past, calls = cache or (_empty(p), 0)
    start = PIECES[0] + calls - 1 if calls else 0
    out, past = _attend(ids, past, p, start + np.arange(len(ids)))
    return out, (past, calls + 1)


CACHE = replace(PROGRAMS["cached_attention"], run=_run, draw=_draw, variants=[
    *PROGRAMS["cached_attention"].variants,
    ("chunk-without-mask", _other(visible=lambda new, seen: np.tri(
        new, seen, seen if seen > new else 0, dtype=bool)), "there is a mask for the prompt only: "
     "new tokens that come together later see each other's future"),
    ("keys-prepended", _both_prepended, "new keys and values are put before the old ones, but "
     "the mask hides the last columns: new ones belong behind"),
    ("positions-by-call", _by_call, "positions are counted by calls: a call may bring several "
     "tokens"),
    ("positions-constant", _other(place=lambda old, ids: old), "all tokens of a call stand at the "
     "same position"),
    ("positions-constant", _other(place=lambda old, ids: old + np.arange(len(ids)) * (old == 0)),
     "all tokens of a call after the prompt stand at the same position"),
    ("positions-of-end", _other(place=lambda old, ids: old + len(ids) + np.arange(len(ids))),
     "the positions are counted from the new length of the cache: it is the length before the new "
     "tokens"),
    ("positions-by-id", _other(place=lambda old, ids: ids), "the position table is read by token "
     "id"),
    ("scale-forgotten", _other(scale=lambda d: 1.0), "scores are not divided by sqrt(D)"),
    ("scale-no-root", _other(scale=lambda d: d), "scores are divided by D, not by its root"),
    ("positions-missing", lambda ids, cache, p: _other()(ids, cache, {**p, "wpe": 0 * p["wpe"]}),
     "positions are not added"),
    ("mask-sees-one-ahead", _other(visible=lambda new, seen: np.tri(
        new, seen, seen - new + 1, dtype=bool)), "the mask lets a query see the next position"),
    ("mask-wrong-triangle", _other(visible=lambda new, seen: ~np.tri(
        new, seen, seen - new - 1, dtype=bool)), "the mask is the wrong way round: a query sees "
     "its future, not its past"),
    ("mask-multiplied", _other(hidden=0.0), "hidden scores are 0, not -inf: exp(0) is 1, so the "
     "future still counts"),
    ("softmax-wrong-axis", _other(axis=0), "softmax runs over the queries instead of the keys"),
    ("keys-for-values", _keys_mixed, "the weights multiply the keys, not the values"),
    ("keys-and-values-swapped", _other(stored=lambda keys, values, old: (values, keys)),
     "keys and values are swapped in the cache: what is put in first must be taken out first"),
    ("newest-dropped", _other(stored=lambda keys, values, old: (keys[:-1], values[:-1])),
     "the newest key and value are not put into the cache"),
])

# the first piece that is wrong, and what that says where no known mistake fits
_MEANS = {
    0: "the cache plays no part yet: it is attention itself, its positions, mask, scale or softmax",
    1: "the prompt is right, and this is the first step that reads the cache: look at the "
       "positions of the new tokens, and at what stands in the cache after the prompt",
    2: "the first step with a cache is right, and the next is not: look at the cache that a step "
       "returns if it was given one",
    3: "single tokens are right, and this piece has two: look at the mask and the positions where "
       "several tokens meet a cache that is not empty",
}


def _where(mine):
    """(the first wrong piece, what that means), or None."""
    inputs, settings = _draw(np.random.default_rng(3), {}, 1)
    right = _run(PROGRAMS["cached_attention"].function, inputs, settings)
    got = _run(mine, inputs, settings)
    for number, (name, out) in enumerate(right.items()):
        if name not in got or got[name].shape != out.shape:
            return None
        if not np.allclose(got[name], out):
            return name, _MEANS.get(number, "all before is right: what does this step find that "
                                    "the others did not?")
    return None


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


def _pair(mine):
    (ids, _, p), _ = _draw(np.random.default_rng(4), {}, 1)
    out = mine(ids[:3], None, p)
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        return f"It gave a {type(out).__name__}."
    expected = 3, p["v"].shape[1]
    return np.shape(out[0]) == expected or (
        f"For 3 ids out has shape {np.shape(out[0])}; expected (S, D) = {expected}.")


def _one_token(mine):
    (ids, _, p), _ = _draw(np.random.default_rng(4), {}, 1)
    out, _ = mine(ids[:1], None, p)
    value = (p["wte"][ids[0]] + p["wpe"][0]) @ p["v"]
    return np.shape(out) == (1, len(value)) and bool(np.allclose(out, value))


def grade(mine, g):
    """Each text afresh, then every piece against one long call."""
    g.probe("not-a-pair", "step gives (out, cache)", lambda: _pair(mine.step))
    g.probe("state-kept", "a second text that begins with cache=None knows nothing of the first",
            lambda: _two_texts(mine.step))
    if diagnose_value(CACHE, mine.step).kinds == ["unexplained"] and (found := _where(mine.step)):
        g.fail("first-wrong-step", f"step: the first wrong output is that of {found[0]}. "
               f"{found[1][0].upper()}{found[1][1:]}.")
    else:
        g.values(CACHE, mine.step)
    if not g.findings:
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
