"""How batches, initial parameters and the loop are graded: by replaying what people write."""

import copy
import math
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np

from npgpt.doctor import Program, diagnose_value
from npgpt.doctor.values.catalogue import PROGRAMS

STD = 0.02
SENTENCES = tomllib.loads(Path(__file__).with_name("mistakes.toml").read_text(encoding="utf-8"))


def _wrapped(ids, *, length):
    starts = np.arange(0, len(ids) - length, length)
    inputs = ids[starts[:, None] + np.arange(length)]
    return inputs, np.roll(inputs, -1, axis=1)


def _of_step(step):
    def cut(ids, *, length):
        starts = np.arange(0, len(ids) - length, step or length + 1)
        rows = starts[:, None] + np.arange(length)
        return ids[rows], ids[rows + 1]

    return cut


def _both_shifted(ids, *, length):
    inputs, targets = PROGRAMS["windows"].function(ids, length=length)
    return targets, targets


def _shifted_inside(ids, *, length):
    inputs, _ = PROGRAMS["windows"].function(ids, length=length)
    return inputs[:, :-1], inputs[:, 1:]


def _swapped(ids, *, length):
    inputs, targets = PROGRAMS["windows"].function(ids, length=length)
    return targets, inputs


def _twice(pad):
    def cut(ids, *, length):
        longer = {"zeros": [*ids, 0, 0], "wrapped": [*ids, *ids[:2]], "fewer": ids}[pad]
        last = len(ids) - length - (pad == "fewer")
        rows = np.arange(0, last, length)[:, None] + np.arange(length)
        return ids[rows], np.asarray(longer)[rows + 2]

    return cut


_SHIFTED_TWICE = ("the targets are shifted twice: the target of a position is the next token, not "
                  "the one after")


def _without_target(pad):
    """A window for the last ids too, though its last target is not there."""
    def cut(ids, *, length):
        longer = np.append(ids, {"zero": 0, "first": ids[0], "last": ids[-1]}[pad])
        rows = np.arange(len(ids) // length)[:, None] * length + np.arange(length)
        return ids[rows], longer[rows + 1]

    return cut


def _in_columns(ids, *, length):
    """A bare reshape that puts the windows into columns."""
    n = (len(ids) - 1) // length
    return ids[:n * length].reshape(length, n).T, ids[1:n * length + 1].reshape(length, n).T


def _next_only(ids, *, length):
    """One target for each window."""
    starts = np.arange(0, len(ids) - length, length)
    return ids[starts[:, None] + np.arange(length)], ids[starts + length]


def _draw_windows(rng, given, n):
    length = 4 + n
    return (rng.permutation(3 * length + (3, 0, 1, 2, 0, 1)[n % 6]),), {"length": length}


def _run_windows(function, inputs, settings):
    """Lists of windows are as good as arrays."""
    out = function(inputs[0].copy(), **settings)
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        return out
    return {"inputs": np.asarray(out[0]), "targets": np.asarray(out[1])}


WINDOWS = replace(PROGRAMS["windows"], run=_run_windows, draw=_draw_windows, variants=[
    *PROGRAMS["windows"].variants,
    ("targets-wrap-around", _wrapped, "the last target of a window is the first token of its own "
     "window: it is the id that follows in the text"),
    *(("targets-shifted-twice", _twice(pad), _SHIFTED_TWICE)
      for pad in ("zeros", "wrapped", "fewer")),
    ("windows-overlap", _of_step(1), "there is a window at every id: here they do not overlap"),
    ("token-skipped", _of_step(0), "every window begins length + 1 ids after the one before, so "
     "that one id in between is never an input: it begins length ids after"),
    ("inputs-shifted", _both_shifted, "the inputs are shifted too: only the targets are"),
    ("window-too-short", _shifted_inside, "the windows are one too short: a window needs "
     "length + 1 ids, of which the first `length` are its inputs"),
    *(("window-without-target", _without_target(pad), "the last window has no target for its last "
       "id: a window needs length + 1 ids") for pad in ("zero", "first", "last")),
    ("windows-in-columns", _in_columns, "a bare reshape deals the ids to the windows in turn: a "
     "window is a run of neighbours"),
    ("one-target-a-window", _next_only, "there is one target for each window: each of its "
     "positions has one, the next id"),
    ("inputs-and-targets-swapped", _swapped, "inputs and targets are swapped"),
])


def initial(shapes, *, n_layer, rng, wrong={}):
    """GPT-2's initial parameters; `wrong` names the mistakes to make."""
    params = {}
    for name, shape in shapes.items():
        if "one-seed" in wrong:
            rng = np.random.default_rng(0)
        std = {"init-unit-size": 1.0, "init-variance-for-std": 0.02**2,
               "init-std-for-variance": 0.02**0.5, "init-by-fan-in": shape[0] ** -0.5,
               "init-by-fan-out": shape[-1] ** -0.5, "init-glorot": (2 / sum(shape)) ** 0.5,
               "init-he": (2 / shape[0]) ** 0.5}.get(next(iter(wrong), ""), STD)
        adds = "c_proj.weight" in name and "residual-init-not-scaled" not in wrong
        if "residual-init-one-place" in wrong:
            adds = ("attn.c_proj.weight", "mlp.c_proj.weight")[int(
                wrong["residual-init-one-place"]) - 1] in name
        if "every-matrix-scaled" in wrong:
            adds = name.startswith("h.") or wrong["every-matrix-scaled"] == 2
        if adds:
            add = (1 if "residual-init-one-a-block" in wrong else 2) * n_layer
            std /= add if "residual-init-no-root" in wrong else {
                "residual-init-upside-down": 1 / math.sqrt(add),
                "residual-init-root-of-layers": 2 * math.sqrt(n_layer),
                "residual-init-layers": n_layer}.get(next(iter(wrong), ""), math.sqrt(add))
        bias, norm = name.endswith(".bias"), len(shape) == 1
        fixed = float("biases-one" in wrong) if bias else float("norm-weights-zero" not in wrong)
        if norm and not ("biases-drawn" if bias else "norm-weights-drawn") in wrong:
            params[name] = np.full(shape, fixed)
        elif "zeros" in wrong or "ones" in wrong:
            params[name] = np.full(shape, float("ones" in wrong))
        elif "uniform" in wrong or "positive" in wrong:
            params[name] = std * (rng.random(shape) * (1 + ("uniform" in wrong))
                                  - ("uniform" in wrong))
        else:
            normal = rng.standard_normal(shape)
            params[name] = std * (abs(normal) if "positive-normal" in wrong else normal)
    return params


def _measured(function, inputs, settings):
    """What can be said of drawn parameters, in words, each by its name."""
    (shapes,) = inputs
    wrong = {"wrong": settings["wrong"]} if "wrong" in settings else {}
    layers = settings["n_layer"]
    out = function(dict(shapes), n_layer=layers, rng=np.random.default_rng(7), **wrong)
    if not isinstance(out, dict):
        return out
    known = [std / part for std in (STD, 1.0, STD**2, STD**0.5) for part in (
        1, math.sqrt(2 * layers), math.sqrt(layers), 2 * layers, layers, 2 * layers**0.5)]
    found = {}
    for name, array in out.items():
        array = np.asarray(array, float)
        mean, spread = float(array.mean()), float(array.std())
        room = 4.5 / math.sqrt(2 * array.size)
        spread = next((std for std in known if abs(spread - std) <= room * std), spread)
        mean = 0.0 if abs(mean) <= 5 * spread / math.sqrt(array.size) else mean
        # in units of 0.02, so that means and spreads weigh alike
        found[name] = {"mean": mean, "standard deviation / 0.02": spread / STD}
        if array.size > 500 and abs(array - mean).max() < 2 * array.std():
            found[name]["no number beyond two standard deviations"] = 1.0
    first, second = (np.asarray(out.get(f"h.{n}.attn.c_attn.weight", 0.0)) for n in range(2))
    if first.size > 1 and np.array_equal(first, second) and first.std() > 0:
        found["matrices of the same shape are alike"] = 1.0
    return found


def _spread(mine):
    """The first parameter that is wrong, where no known mistake fits, in a sentence."""
    inputs, settings = _draw_shapes(np.random.default_rng(0), {}, 0)
    expected, got = (_measured(f, inputs, settings) for f in (initial, mine))
    for name, value in expected.items():
        for key, number in value.items():
            if not np.isclose(got[name][key], number):
                unit = STD if "/" in key else 1
                return (f"{name} has a {key.partition(' /')[0]} of about "
                        f"{got[name][key] * unit:.2g}; expected {number * unit:.2g}")
    return None


def _draw_shapes(rng, given, n):
    from npgpt import GPT2Config
    from npgpt.params import parameter_shapes

    layers = (3, 2, 5)[n % 3]
    config = GPT2Config(vocab_size=130 + n, n_positions=70 + n, n_embd=48 + 8 * (n % 2),
                        n_layer=layers, n_head=4)
    return (parameter_shapes(config),), {"n_layer": layers}


def _variants(function, sentences):
    """Each mistake as a function: then pairs of them, which take long to compute, are not tried."""
    def variant(kind, sentence, value):
        def mistaken(*inputs, **settings):
            return function(*inputs, **settings, wrong={kind: value})

        return kind, mistaken, sentence

    return [variant(kind, sentence, value) for kind, given in sentences.items()
            for value, sentence in enumerate([given] if isinstance(given, str) else given, start=1)]


INITIAL = Program("initial", initial, _variants(initial, SENTENCES["initial"]), draw=_draw_shapes,
                  run=_measured)


def fit(params, batches, held_out, *, model, lr, epochs, rng, wrong={}):
    """The training loop; `wrong` names a mistake to make."""
    wrong = next(iter(wrong), None)
    losses, after = [], []
    if wrong == "params-not-in-the-dict":
        params = dict(params)
    grads = {name: np.zeros_like(p) for name, p in params.items()}
    last = {name: p.copy() for name, p in params.items()}
    for _ in range(epochs):
        if wrong == "zeroed-once-an-epoch":
            grads = {name: np.zeros_like(p) for name, p in params.items()}
        if wrong == "evaluated-before-the-epoch":
            after.append(model(params, *held_out, None, None))
        for inputs, targets in batches[:1] if wrong == "first-batch-only" else batches:
            if wrong not in ("never-zeroed", "zeroed-once-an-epoch"):
                grads = {name: np.zeros_like(p) for name, p in params.items()}
            loss = model(params, inputs, targets, grads,
                         None if wrong == "no-dropout-in-training" else rng)
            losses.append(loss)
            if wrong == "params-not-updated" or wrong == "step-once-an-epoch":
                continue
            rate = {"ascent": -lr, "lr-forgotten": 1.0,
                    "mean-of-batch-twice": lr / len(inputs),
                    "sum-for-mean": lr * len(inputs),
                    "divided-by-batches": lr / len(batches)}.get(wrong, lr)
            for name in params:
                params[name] = params[name] - rate * grads[name]
            if wrong == "evaluated-every-step":
                after.append(model(params, *held_out, None, None))
            if wrong == "loss-after-the-step":
                losses[-1] = model(params, inputs, targets, None, rng)
        if wrong == "step-once-an-epoch":
            for name in params:
                params[name] = params[name] - lr * grads[name]
        if wrong == "parameters-reset":
            params = {name: p.copy() for name, p in last.items()}
        if wrong in ("evaluated-before-the-epoch", "evaluated-every-step"):
            continue
        held = {name: np.zeros_like(p) for name, p in params.items()}
        after.append(model(params, *(batches[-1] if wrong == "evaluated-on-training" else held_out),
                           held if wrong == "trained-on-held-out" else None,
                           rng if wrong == "dropout-at-evaluation" else None))
        if wrong == "trained-on-held-out":
            for name in params:
                params[name] = params[name] - lr * held[name]
        if wrong == "one-epoch":
            break
    n = len(batches)
    return {"losses-swapped": (after, losses), "last-loss-only": (losses[-1], after[-1]),
            "last-loss-only-held-out": (losses, after[-1:]),
            "loss-per-epoch": ([sum(losses[i:i + n]) / n for i in range(0, len(losses), n)], after),
            "loss-per-epoch-last": (losses[n - 1::n], after),
            }.get(wrong, (losses, after))


def _run_fit(function, inputs, settings):
    params, batches, held_out = copy.deepcopy(inputs)
    settings = {**settings, "rng": np.random.default_rng(5)}
    out = function(params, batches, held_out, **settings)
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        return out
    return {"training loss of step": np.asarray(out[0], float),
            "held-out loss after epoch": np.asarray(out[1], float), "params": params}


def _draw_fit(rng, given, n):
    from npgpt.layers import cross_entropy, dropout, embedding

    def model(params, inputs, targets, grads=None, rng=None):
        rows, lookup = embedding.token_embedding_forward(inputs, params["table"])
        rows = rows + params["bias"]
        logits, dropped = dropout.dropout_forward(rows, rate=0.2 if rng else 0.0, rng=rng)
        loss, cache = cross_entropy.cross_entropy_forward(logits, targets)
        if grads is not None:
            dlogits, _ = cross_entropy.cross_entropy_backward(np.float64(1.0), cache)
            (drows,) = dropout.dropout_backward(dlogits, dropped)
            grads["table"] += embedding.token_embedding_backward(drows, lookup)[1]
            grads["bias"] += drows.sum((0, 1))
        return float(loss)

    v = 7 + n
    pairs = [(rng.integers(0, v, (3, 5)), rng.integers(0, v, (3, 5))) for _ in range(5)]
    params = {"table": rng.standard_normal((v, v)), "bias": rng.standard_normal(v)}
    return (params, pairs[:4], pairs[4]), {"model": model, "lr": 0.7, "epochs": 2, "rng": None}


FIT = Program("fit", fit, _variants(fit, SENTENCES["fit"]), draw=_draw_fit, run=_run_fit)


def _first_loss(initial, std=1.0):
    """(the loss of a small GPT-2 with these initial parameters, ln V)."""
    from npgpt import GPT2, GPT2Config
    from npgpt.params import parameter_shapes

    config = GPT2Config(vocab_size=97, n_positions=16, n_embd=32, n_layer=3, n_head=4)
    rng = np.random.default_rng(0)
    params = initial(parameter_shapes(config), n_layer=3, rng=rng)
    params = {name: p * (std if p.ndim > 1 else 1.0) for name, p in params.items()}
    ids = rng.integers(0, 97, (4, 17))
    return GPT2(config, params).loss(ids[:, :-1], ids[:, 1:]), math.log(97)


def _begins_at_chance(mine):
    loss, chance = _first_loss(mine.initial)
    return abs(loss - chance) < 0.15 or f"The first loss is {loss:.3f}, and ln V is {chance:.3f}."


def _overfits(mine):
    """One batch, learnt by heart by GPT-2 through the learner's three functions."""
    inputs, targets = mine.windows(np.random.default_rng(1).permutation(13), length=4)
    model = _draw_fit(np.random.default_rng(0), {}, 6)[1]["model"]
    params = mine.initial({"table": (13, 13), "bias": (13,)}, n_layer=1,
                          rng=np.random.default_rng(0))

    def quiet(params, inputs, targets, grads=None, rng=None):
        return model(params, inputs, targets, grads)

    batch = np.asarray(inputs), np.asarray(targets)
    losses, _ = mine.fit(params, [batch], batch, model=quiet, lr=20.0, epochs=120,
                         rng=np.random.default_rng(0))
    return losses[-1] < 0.05 or f"After 120 steps on one batch the loss is {losses[-1]:.3f}."


def _shapes(mine):
    (shapes,), settings = _draw_shapes(np.random.default_rng(0), {}, 0)
    out = mine.initial(dict(shapes), rng=np.random.default_rng(0), **settings)
    if not isinstance(out, dict):
        return f"It gave a {type(out).__name__}."
    for name, shape in shapes.items():
        if np.shape(out.get(name)) != shape:
            return f"{name} " + (f"has shape {np.shape(out[name])}; expected {shape}."
                                 if name in out else "is missing.")
    return len(out) == len(shapes) or "It has other names too."


def _pair(out):
    if out is None:
        return "It gave None: is the return forgotten?"
    return isinstance(out, (tuple, list)) and len(out) == 2 or f"It gave a {type(out).__name__}."


def grade(mine, g):
    """The windows, the initial parameters, the loop, and two sanity checks of them together."""
    g.probe("not-a-pair", "windows gives two arrays, inputs and targets", lambda: _pair(
        mine.windows(np.arange(11), length=3)))
    g.values(WINDOWS, mine.windows)
    g.probe("wrong-shape", "initial gives a dict with an array of its shape for each name",
            lambda: _shapes(mine))
    if diagnose_value(INITIAL, mine.initial).kinds == ["unexplained"] and (
            found := _spread(mine.initial)):
        g.fail("wrong-spread", f"initial: {found}")
    else:
        g.values(INITIAL, mine.initial)
    if not g.findings:
        g.probe("first-loss", "an untrained GPT-2 with these parameters has a loss of about ln V",
                lambda: _begins_at_chance(mine))
    inputs, settings = _draw_fit(np.random.default_rng(0), {}, 0)
    g.probe("not-a-pair", "fit gives two lists, training and held-out losses", lambda: _pair(
        mine.fit(*copy.deepcopy(inputs), **settings | {"rng": np.random.default_rng(0)})))
    g.values(FIT, mine.fit)
    if not g.findings:
        g.probe("no-overfit", "one batch can be learnt by heart", lambda: _overfits(mine))


def after():
    """The first loss, with right and with too large parameters, measured."""
    right = _first_loss(initial)
    large, _ = _first_loss(initial, std=1 / STD)
    return (f"With these parameters the first loss of a small GPT-2 is {right[0]:.3f}, and ln V is "
            f"{right[1]:.3f}. With a standard deviation of 1 in place of 0.02 it is {large:.1f}. "
            "So look at the first loss of every run: it costs nothing, and tells you about the "
            "initial parameters, the targets' range and the loss itself. The second free test is "
            "to learn one batch by heart, which must work, and the third that held-out loss never "
            "falls to 0: if it does, the targets are in the input.")
