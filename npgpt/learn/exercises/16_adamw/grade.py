"""How AdamW is graded: five steps, and each known mistake replayed beside them."""

import dataclasses

import numpy as np

from npgpt.doctor.values.catalogue import PROGRAMS


def nothing(params, grads, m, v, *, step, lr, betas, eps, weight_decay):
    """What a step does that writes nothing."""


def mistaken(
    mean=lambda b1, m, g: b1 * m + (1 - b1) * g,
    square=lambda b2, v, g, m: b2 * v + (1 - b2) * g * g,
    gradient=lambda g, p, decay: g, decays=lambda p: p.ndim >= 2,
    shrink=lambda lr, decay: 1 - lr * decay, correct=lambda b1, b2, t: (1 - b1**t, 1 - b2**t),
    change=lambda mhat, vhat, g, eps: mhat / (np.sqrt(vhat) + eps),
):
    """A step of AdamW with some of its parts exchanged."""
    def adamw(params, grads, m, v, *, step, lr, betas, eps, weight_decay):
        for name, p in params.items():
            decay = weight_decay if decays(p) else 0.0
            g = gradient(grads[name], p, weight_decay)
            m[name][...] = mean(betas[0], m[name], g)
            v[name][...] = square(betas[1], v[name], g, m[name])
            c1, c2 = correct(*betas, step)
            mhat, vhat = m[name] / np.float64(c1), v[name] / np.float64(c2)
            p[...] = p * shrink(lr, decay) - lr * change(mhat, vhat, g, eps)

    return adamw


def first_only(params, grads, m, v, **settings):
    """A step of the first parameter alone."""
    name = next(iter(params))
    mistaken()({name: params[name]}, grads, m, v, **settings)


ADAMW = dataclasses.replace(PROGRAMS["adamw"], variants=[
    ("not-written", nothing,
     "params never change: write into the caller's arrays, p[...] = new or p -= change; `p = new` "
     "only gives the name to another array"),
    *PROGRAMS["adamw"].variants,
    ("beta2-not-complemented", mistaken(square=lambda b2, v, g, m: b2 * v + g * g),
     "the square of the gradient is not multiplied by 1 - beta2"),
    ("size-for-square", mistaken(square=lambda b2, v, g, m: b2 * v + (1 - b2) * abs(g)),
     "v averages the size of the gradient, |g|, not its square"),
    ("square-of-mean", mistaken(square=lambda b2, v, g, m: b2 * v + (1 - b2) * m * m),
     "v averages the square of m; it is to average the square of the gradient"),
    ("first-moment-restart", mistaken(mean=lambda b1, m, g: (1 - b1) * g),
     "m starts from zero in every step: beta1 times the old m is missing"),
    ("mean-of-square", mistaken(change=lambda mhat, vhat, g, eps: mhat / (vhat.mean()**0.5 + eps)),
     "one v for the whole array: every number has its own"),
    ("decay-on-vectors-only", mistaken(decays=lambda p: p.ndim < 2),
     "the condition is the wrong way round: matrices decay, vectors do not"),
    ("decay-sign", mistaken(shrink=lambda lr, decay: 1 + lr * decay),
     "decay has the wrong sign: the parameter grows"),
    ("decay-in-gradient", mistaken(gradient=lambda g, p, d: g + d * p, decays=lambda p: False),
     "decay is added to the gradient, of biases too (Adam with L2): AdamW shrinks the parameter "
     "itself, and matrices alone"),
    ("decay-twice", mistaken(gradient=lambda g, p, d: g + d * p),
     "decay is applied twice, in the gradient and to the parameter: only the second belongs there"),
    ("second-moment-unused", mistaken(change=lambda mhat, vhat, g, eps: mhat),
     "the step is lr * mhat: the division by sqrt(vhat) + eps is missing"),
    ("moments-unused", mistaken(change=lambda mhat, vhat, g, eps: g),
     "the step is lr * g, plain gradient descent: mhat / (sqrt(vhat) + eps) is missing"),
    ("gradient-for-mean",
     mistaken(change=lambda mhat, vhat, g, eps: g / (np.sqrt(vhat) + eps)),
     "the step takes g where mhat belongs"),
    ("sign-step", mistaken(change=lambda mhat, vhat, g, eps: np.sign(g)),
     "the step is lr * sign(g): that is what the first step comes to, not the others"),
    ("beta-times-step", mistaken(correct=lambda b1, b2, t: (1 - b1 * t, 1 - b2 * t)),
     "the correction multiplies beta by t: it is beta to the power t"),
    ("corrections-swapped", mistaken(correct=lambda b1, b2, t: (1 - b2**t, 1 - b1**t)),
     "the two corrections are exchanged: m has beta1, v has beta2"),
    ("corrections-swapped", mistaken(correct=lambda b1, b2, t: (1 - b1**t, 1 - b1**t)),
     "v is corrected with beta1; it has beta2"),
    ("corrections-swapped", mistaken(correct=lambda b1, b2, t: (1 - b2**t, 1 - b2**t)),
     "m is corrected with beta2; it has beta1"),
    ("correction-outside-root", mistaken(correct=lambda b1, b2, t: (1 - b1**t, (1 - b2**t)**2)),
     "the correction of v stands outside of the root: sqrt(v / (1 - beta2^t)), not sqrt(v) / "
     "(1 - beta2^t)"),
    ("first-moment-squared", mistaken(mean=lambda b1, m, g: b1 * m + (1 - b1) * g * g),
     "m averages the square of the gradient; it is to average the gradient itself"),
    ("decay-twice", mistaken(shrink=lambda lr, decay: (1 - lr * decay)**2),
     "the parameter decays twice in each step"),
    ("decay-times-lr-twice", mistaken(shrink=lambda lr, decay: 1 - lr * lr * decay),
     "decay is multiplied by lr twice"),
    ("first-parameter-only", first_only,
     "only the first parameter is updated: does a return stand inside of the loop?"),
])


def grade(mine, g):
    """Five steps against all known mistakes; what is written to, and one parameter alone."""
    g.values(ADAMW, mine.adamw)
    g.probe("grads-changed", "grads are left as they were", lambda: not changed(mine, "grads"))
    g.probe("moments-not-written", "m and v hold the new running means afterwards",
            lambda: changed(mine, "m") and changed(mine, "v"))
    g.probe("moments-not-written", "m and v are written into the caller's arrays, m[name][...] = "
            "new", lambda: writes_in_place(mine))
    g.probe("decay-by-name", "an array with two or more axes decays, one with one axis does not, "
            "whatever they are called", lambda: decays_by_axes(mine))
    g.probe("scalar", "a parameter that is a single number, shape (), is updated too",
            lambda: scalar(mine))


def changed(mine, which):
    """Whether a step changes grads, m or v."""
    given = {"params": {"w": np.ones((2, 3))}, "grads": {"w": np.full((2, 3), 0.5)},
             "m": {"w": np.zeros((2, 3))}, "v": {"w": np.zeros((2, 3))}}
    out = mine.adamw(*given.values(), step=1, lr=0.1, betas=(0.9, 0.99), eps=1e-8,
                     weight_decay=0.1)
    if isinstance(out, tuple) and len(out) == 3 and which != "grads":
        return True     # new ones are returned
    before = {"grads": 0.5, "m": 0.0, "v": 0.0}[which]
    return not (given[which]["w"] == before).all()


def writes_in_place(mine):
    """Whether the arrays that the caller holds are those that hold the new means."""
    arrays = {which: np.zeros((2, 3)) for which in "mv"}
    given = {which: {"w": array} for which, array in arrays.items()}
    out = mine.adamw({"w": np.ones((2, 3))}, {"w": np.full((2, 3), 0.5)}, *given.values(), step=1,
                     lr=0.1, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1)
    if isinstance(out, tuple) and len(out) == 3:
        return None     # new ones are returned
    other = [which for which, array in arrays.items() if not array.any()]
    return not other or (f"{' and '.join(other)} of the dict became other arrays (m[name] = new); "
                         "whoever holds the old ones sees no change.")


def decays_by_axes(mine):
    """Whether names decide what decays; the gradients are 0, so that nothing else moves it."""
    params = {"ln_1.weight": np.ones(4), "ln_1.bias": np.ones(5), "wte": np.ones((3, 2)),
              "q_bias": np.ones((2, 4)), "head.gain": np.ones(3), "a.weight": np.ones((2, 2))}
    grads, m, v = ({name: np.zeros_like(p) for name, p in params.items()} for _ in range(3))
    before = {name: p.ndim for name, p in params.items()}
    out = mine.adamw(params, grads, m, v, step=1, lr=0.1, betas=(0.9, 0.99), eps=1e-8,
                     weight_decay=0.5)
    after = out[0] if isinstance(out, tuple) else params if out is None else out
    for name, ndim in before.items():
        decayed = bool((after[name] != 1).any())
        if decayed != (ndim >= 2):
            return (f"{name} with {ndim} {'axis' if ndim == 1 else 'axes'} "
                    f"{'decays' if decayed else 'does not decay'}: count the axes (p.ndim), do not "
                    "look at names.")
    return True


def scalar(mine):
    """Whether the first step of a single number is lr against its gradient's sign."""
    params, grads = {"slope": np.array(0.3)}, {"slope": np.array(2.0)}
    m, v = {"slope": np.array(0.0)}, {"slope": np.array(0.0)}
    out = mine.adamw(params, grads, m, v, step=1, lr=0.1, betas=(0.9, 0.99), eps=1e-8,
                     weight_decay=0.0)
    out = out[0] if isinstance(out, tuple) else out
    got = float((params if out is None else out)["slope"])
    return abs(got - 0.2) < 1e-6 or f"From 0.3 the first step goes to {got:.6g}; expected 0.2."


def after():
    """One thing worth knowing, with its numbers."""
    from npgpt.training.step.adamw import adamw_reference

    def first_step(gradient, corrected, eps=1e-8):
        params, grads = {"w": np.zeros(1)}, {"w": np.array([gradient])}
        m, v = {"w": np.zeros(1)}, {"w": np.zeros(1)}
        # at a very late step both corrections are 1
        adamw_reference(params, grads, m, v, step=1 if corrected else 10**6, lr=1e-3,
                        betas=(0.9, 0.999), eps=eps, decay_names=[], weight_decay=0.0)
        return -params["w"][0] / 1e-3

    return (f"The first step of a parameter with gradient 10 is {first_step(10.0, True):.2f} * lr, "
            f"with gradient 0.00001 it is {first_step(1e-5, True):.2f} * lr: only its sign counts. "
            "Without the two corrections it is "
            f"{first_step(10.0, False):.2f} * lr, since 1 - beta1 = 0.1 and the root of 1 - beta2 "
            "is 0.03: too long, and at the beginning, where a long step does most harm.")
