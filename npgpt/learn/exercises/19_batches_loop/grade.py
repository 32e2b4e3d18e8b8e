"""How batches, initial parameters and the loop are graded: by replaying what people write."""

import copy
import math
from dataclasses import replace

import numpy as np

from npgpt.doctor import Program
from npgpt.doctor.values.catalogue import PROGRAMS

STD = 0.02


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


def _run_windows(function, inputs, settings):
    """Lists of windows are as good as arrays."""
    out = function(inputs[0].copy(), **settings)
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        return out
    return {"inputs": np.asarray(out[0]), "targets": np.asarray(out[1])}


WINDOWS = replace(PROGRAMS["windows"], run=_run_windows, variants=[
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
    ("inputs-and-targets-swapped", _swapped, "inputs and targets are swapped"),
])


def initial(shapes, *, n_layer, rng, wrong={}):
    """GPT-2's initial parameters; `wrong` names the mistakes to make."""
    params = {}
    for name, shape in shapes.items():
        if "one-seed" in wrong:
            rng = np.random.default_rng(0)
        std = 1.0 if "init-unit-size" in wrong else STD
        std = 0.02**2 if "init-variance-for-std" in wrong else std
        std = 0.02**0.5 if "init-std-for-variance" in wrong else std
        if "init-by-fan-in" in wrong or "init-by-fan-out" in wrong:
            std = shape[-1 if "init-by-fan-out" in wrong else 0] ** -0.5
        if "c_proj" in name and "residual-init-not-scaled" not in wrong:
            one = "residual-init-one-a-block" in wrong
            std /= (1 if one else 2) * n_layer if "residual-init-no-root" in wrong else math.sqrt(
                (1 if one else 2) * n_layer)
        if "every-matrix-scaled" in wrong and "c_proj" not in name and "wte" not in name:
            std /= math.sqrt(2 * n_layer)
        drawn = std * (rng.uniform(-1, 1, shape) * math.sqrt(3) if "uniform" in wrong
                       else rng.standard_normal(shape))
        if "zeros" in wrong:
            drawn = np.zeros(shape)
        if name.endswith(".bias"):
            params[name] = drawn if "biases-drawn" in wrong else np.zeros(shape)
            if "biases-one" in wrong:
                params[name] = np.ones(shape)
        elif len(shape) == 1:
            params[name] = drawn if "norm-weights-drawn" in wrong else np.ones(shape)
            if "norm-weights-zero" in wrong:
                params[name] = np.zeros(shape)
        else:
            params[name] = drawn
    return params


_INITIAL = [
    ("residual-init-not-scaled", "the matrices called c_proj are drawn like all others: theirs is "
     "0.02 / sqrt(2 * n_layer)"),
    ("residual-init-one-a-block", "c_proj is divided by sqrt(n_layer): a block adds twice, so it "
     "is sqrt(2 * n_layer)"),
    ("residual-init-no-root", "c_proj is divided by 2 * n_layer: it is the root of that"),
    ("every-matrix-scaled", "other matrices than c_proj are divided by sqrt(2 * n_layer) too"),
    ("init-unit-size", "the matrices are drawn with a standard deviation of 1, not 0.02: the first "
     "loss is then far above ln V"),
    ("init-variance-for-std", "0.02 is squared: it is the standard deviation, which multiplies "
     "standard normal numbers"),
    ("init-std-for-variance", "0.02 is taken for the variance: it is the standard deviation"),
    ("init-by-fan-in", "the matrices are drawn with 1 / sqrt(rows): GPT-2 takes 0.02 for all"),
    ("init-by-fan-out", "the matrices are drawn with 1 / sqrt(columns): GPT-2 takes 0.02 for all"),
    ("norm-weights-zero", "the weights of the LayerNorms are 0, so that each multiplies by 0: "
     "they start at 1"),
    ("norm-weights-drawn", "the weights of the LayerNorms are drawn: they start at 1"),
    ("biases-drawn", "the biases are drawn: they start at 0"),
    ("biases-one", "the biases are 1: they start at 0"),
    ("zeros", "the matrices are all zeros: every channel then gets the same gradient, and nothing "
     "ever tells them apart"),
    ("uniform", "the numbers are uniform: GPT-2 draws them from a normal distribution"),
    ("one-seed", "matrices of the same shape hold the same numbers: one rng is used for all, not a "
     "new one for each"),
]


def _measured(function, inputs, settings):
    """What can be said of drawn parameters: their spread, snapped to those that have a meaning."""
    (shapes,) = inputs
    wrong = {"wrong": settings["wrong"]} if "wrong" in settings else {}
    layers = settings["n_layer"]
    out = function(dict(shapes), n_layer=layers, rng=np.random.default_rng(7), **wrong)
    if not isinstance(out, dict):
        return out
    known = [0.0, *(std / part for std in (STD, 1.0, STD**2, STD**0.5) for part in (
        1, math.sqrt(2 * layers), math.sqrt(layers), 2 * layers, layers))]
    known += [n**-0.5 / part for shape in shapes.values() for n in shape
              for part in (1, math.sqrt(2 * layers))]
    found = {}
    for name, array in out.items():
        array = np.asarray(array, float)
        spread, mean = float(array.std()), float(array.mean())
        room = 4.5 / math.sqrt(2 * array.size)
        near = [std for std in known if abs(spread - std) <= room * std]
        spread = min(near, key=lambda std: abs(spread - std)) if near else spread
        mean = 0.0 if abs(mean) <= 5 * spread / math.sqrt(array.size) else mean
        found[name] = {"mean": mean, "standard deviation": spread, "shape": np.array(array.shape)}
        if array.ndim > 1 and spread:
            # of normal numbers 4.55 % lie more than two standard deviations from 0, of uniform none
            found[name]["beyond two"] = float((abs(array) > 2 * spread).any())
    first, second = (np.asarray(out.get(f"h.{n}.attn.c_attn.weight", 0.0)) for n in range(2))
    found["two matrices are alike"] = float(first.size > 1 and np.array_equal(first, second)
                                            and bool(first.any()))
    return found


def _draw_shapes(rng, given, n):
    from npgpt import GPT2Config
    from npgpt.params import parameter_shapes

    layers = (3, 2, 5)[n % 3]
    config = GPT2Config(vocab_size=130 + n, n_positions=70 + n, n_embd=48 + 8 * (n % 2),
                        n_layer=layers, n_head=4)
    return (parameter_shapes(config),), {"n_layer": layers}


def _variant(kind, sentence):
    return kind, lambda shapes, **settings: initial(shapes, **settings, wrong={kind: 1}), sentence


INITIAL = Program("initial", initial, [_variant(*one) for one in _INITIAL], draw=_draw_shapes,
                  run=_measured)


def fit(params, batches, held_out, *, model, lr, epochs, rng, wrong=None):
    """The training loop; `wrong` is a mistake to make."""
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
                    "mean-of-batch-twice": lr / len(inputs)}.get(wrong, lr)
            for name in params:
                params[name] = params[name] - rate * grads[name]
            if wrong == "loss-after-the-step":
                losses[-1] = model(params, inputs, targets, None, rng)
        if wrong == "step-once-an-epoch":
            for name in params:
                params[name] = params[name] - lr * grads[name]
        if wrong == "parameters-reset":
            params = {name: p.copy() for name, p in last.items()}
        if wrong == "evaluated-before-the-epoch":
            continue
        held = {name: np.zeros_like(p) for name, p in params.items()}
        after.append(model(params, *(batches[-1] if wrong == "evaluated-on-training" else held_out),
                           held if wrong == "trained-on-held-out" else None,
                           rng if wrong == "dropout-at-evaluation" else None))
        if wrong == "trained-on-held-out":
            for name in params:
                params[name] = params[name] - lr * held[name]
    return losses, after


_FIT = [
    ("never-zeroed", "the gradients of earlier batches are still there: the model adds to what "
     "stands in grads, so every batch must begin with zeros"),
    ("zeroed-once-an-epoch", "the gradients are zeroed once an epoch: it is to be done for each "
     "batch"),
    ("params-not-updated", "the parameters never change: p = p - ... makes a new array and gives "
     "it a name; it has to be put back into params"),
    ("params-not-in-the-dict", "the losses are right, but the dict that was given still holds the "
     "first parameters: put the new ones into it, not into a copy"),
    ("dropout-at-evaluation", "dropout is on at evaluation: pass no rng there"),
    ("trained-on-held-out", "the parameters move after the evaluation: the held-out windows must "
     "not be learnt from"),
    ("no-dropout-in-training", "dropout is off in training: the rng is to be passed on"),
    ("ascent", "the sign of the step is wrong: it climbs"),
    ("lr-forgotten", "the gradient is not multiplied by lr"),
    ("mean-of-batch-twice", "the gradient is divided by the batch size again: the loss is a mean "
     "already"),
    ("step-once-an-epoch", "there is one step an epoch: each batch has its own"),
    ("first-batch-only", "only the first batch is used"),
    ("evaluated-before-the-epoch", "the held-out loss is measured before the epoch: it is meant "
     "after"),
    ("evaluated-on-training", "the held-out loss is measured on a batch that was trained on"),
    ("loss-after-the-step", "the loss of a batch is measured again after its step, when it has "
     "been learnt already"),
    ("parameters-reset", "every epoch begins with the first parameters again"),
]


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
    pairs = [(rng.integers(0, v, (3, 5)), rng.integers(0, v, (3, 5))) for _ in range(4)]
    params = {"table": rng.standard_normal((v, v)), "bias": rng.standard_normal(v)}
    return (params, pairs[:3], pairs[3]), {"model": model, "lr": 0.7, "epochs": 2, "rng": None}


def _fit_variant(kind, sentence):
    return kind, lambda *inputs, **settings: fit(*inputs, **settings, wrong=kind), sentence


FIT = Program("fit", fit, [_fit_variant(*one) for one in _FIT], draw=_draw_fit, run=_run_fit)


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
    quiet = lambda p, x, y, grads, rng: model(p, x, y, grads, None)     # noqa: E731
    batch = np.asarray(inputs), np.asarray(targets)
    losses, _ = mine.fit(params, [batch], batch, model=quiet, lr=20.0, epochs=120,
                         rng=np.random.default_rng(0))
    return losses[-1] < 0.05 or f"After 120 steps on one batch the loss is {losses[-1]:.3f}."


def grade(mine, g):
    """The windows, the initial parameters, the loop, and two sanity checks of them together."""
    g.values(WINDOWS, mine.windows)
    g.values(INITIAL, mine.initial)
    g.probe("first-loss", "an untrained GPT-2 with these parameters has a loss of about ln V",
            lambda: _begins_at_chance(mine))
    g.values(FIT, mine.fit)
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
