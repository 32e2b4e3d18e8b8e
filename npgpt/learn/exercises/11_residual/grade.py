"""How the residual connection is graded."""

import itertools

import numpy as np

from npgpt.doctor import Program
from npgpt.layers.layernorm import layernorm_forward


def residual(x, branch):
    """x plus the branch."""
    return x + branch


def sublayer(x, gain, shift, weight, bias, normed=False, kept=1.0, post=False, hidden=False):
    """x + tanh(linear(layernorm(x))), or what people write instead."""
    y = layernorm_forward(x, gain, shift)[0]
    h = (x if post else y) @ weight + bias
    branch = h if hidden else np.tanh(h)
    out = kept * (y if normed else x) + branch
    return layernorm_forward(out, gain, shift)[0] if post else out


def sizes(x, weights, dout, connected, back=None, order=-1, seed=None, slope=None,
          turn=True, again=False):
    """The norms of all gradients; `back` is the connection in backward."""
    back = connected if back is None else back
    branches, inputs = [], []
    for weight in weights:
        inputs.append(x)
        branches.append(np.tanh(x @ weight))
        x = x + branches[-1] if connected else branches[-1]
    dx = dout if seed is None else seed(x)
    found = [np.linalg.norm(dx)]
    for weight, branch in [*zip(weights, branches)][::order]:
        through = (dx * (1 - branch**2 if slope is None else slope(branch)))
        through = through @ (weight.T if turn else weight)
        dx = (dout if again else dx) + through if back else through
        found.append(np.linalg.norm(dx))
    return np.array(found[::-1])


RESIDUAL = Program("residual", residual, [
    ("residual-missing", lambda x, branch: branch, "x is not added: this is the branch alone"),
    ("branch-missing", lambda x, branch: x, "the branch is not added: this is x alone"),
    ("multiplied", lambda x, branch: x * branch, "the two are multiplied; they should be added"),
    ("averaged", lambda x, branch: (x + branch) / 2, "the mean is taken; the sum is meant"),
])
SUBLAYER = Program("sublayer", sublayer, [
    ("residual-missing", lambda *a: sublayer(*a, kept=0.0),
     "the residual connection is missing: x must be added to the branch"),
    ("residual-from-norm", lambda *a: sublayer(*a, normed=True),
     "the normed x is added to the branch; the stream adds x itself, as it came in"),
    ("norm-after-residual", lambda *a: sublayer(*a, post=True),
     "the norm comes after the sum (post-norm); here it stands at the beginning of the branch"),
    ("residual-twice", lambda *a: sublayer(*a, kept=2.0), "x is added twice"),
    ("norm-left-out", lambda x, gain, shift, weight, bias: x + np.tanh(x @ weight + bias),
     "the branch reads x itself: LayerNorm is left out"),
    ("activation-left-out", lambda *a: sublayer(*a, hidden=True), "tanh is left out"),
])
# what goes wrong inside of the walk, as a setting of sizes(); `wrong` may change `connected`
INSIDE = [
    ("walked-forwards", {"order": 1},
     "backward takes the layers in forward's order: begin with the last"),
    ("connection-lost-in-backward", {"back": False},
     "x is added in forward, but backward knows the branch alone: dout goes to x as well"),
    ("connection-always", {"connected": True}, "`connected` is ignored: x is always added"),
    ("connection-never", {"connected": False}, "`connected` is ignored: x is never added"),
    ("connection-in-backward-only", {"added": False},
     "x is added in backward, but not in forward"),
    ("backward-always-connected", {"back": True},
     "backward adds dout even where forward did not add x"),
    ("dout-ignored", {"seed": np.ones_like}, "backward starts from ones; it starts from dout"),
    ("tanh-slope-missing", {"slope": np.ones_like},
     "the derivative of tanh is missing: 1 - tanh(h)^2"),
    ("tanh-slope-not-squared", {"slope": lambda b: 1 - b},
     "the derivative of tanh is 1 - tanh(h)^2: the square is missing"),
    ("tanh-of-tanh", {"slope": lambda b: 1 - np.tanh(b)**2},
     "the derivative of tanh is taken at tanh(h): it is 1 - tanh(h)^2, and that is branch already"),
    ("transposed", {"turn": False},
     "the weight is not transposed in backward: h = x @ W gives dx = dh @ W.T"),
    ("dout-added-again", {"again": True},
     "each layer adds dout, the very first gradient: add the one that came into this layer"),
]
# what goes wrong with the list, made of the right one
LISTED = [
    ("listed-backwards", lambda found, x: found[::-1],
     "the sizes are in the order of backward: sizes[0] belongs to the input, sizes[L] to dout"),
    ("root-of-mean-square",
     lambda found, x: np.append(found[:-1] / np.sqrt(x.size), found[-1]),
     "the norm is the root of the sum of squares, not of their mean"),
    ("squares-not-rooted", lambda found, x: found**2, "these are squares: the norm has a root"),
    ("root-of-mean-square", lambda found, x: found / np.sqrt(x.size),
     "the norm is the root of the sum of squares, not of their mean"),
    ("dout-left-out", lambda found, x: found[:-1],
     "one size is missing at the end: the norm of dout itself, sizes[L]"),
    ("input-left-out", lambda found, x: found[1:],
     "one size is missing at the beginning: what the input gets, sizes[0]"),
]


def mistaken(inside, listed=()):
    """The sizes with these mistakes of INSIDE and LISTED made."""
    wrong = {name: value for mistake in inside for name, value in mistake[1].items()}

    def gradient_sizes(x, weights, dout, connected):
        settings = {"connected": connected} | wrong
        if "added" in settings:
            settings = {**settings, "connected": settings.pop("added"), "back": connected}
        found = sizes(x, weights, dout, **settings)
        for _, change, _ in listed:
            found = change(found, x)
        return found

    return gradient_sizes


def two(first, second):
    """What is said of two mistakes."""
    return f"there are two mistakes. First, {first[2]}. Second, {second[2]}"


SIZES = Program("gradient_sizes", sizes, [
    *((one[0], mistaken([one]), one[2]) for one in INSIDE),
    *((one[0], mistaken([], [one]), one[2]) for one in LISTED),
    *((one[0], mistaken([one], [other]), two(one, other)) for one in INSIDE for other in LISTED),
    *((one[0], mistaken([one, other]), two(one, other))
      for one, other in itertools.combinations(INSIDE, 2) if not one[1].keys() & other[1].keys()),
    *((one[0], mistaken([], [one, other]), two(one, other))
      for one, other in itertools.combinations(LISTED, 2) if one[0] != other[0]),
])


def grade(mine, g):
    """The sum, the sublayer, and a stack of uneven weights, with and without."""
    x, branch = g.normal(2, 3, 5), g.normal(2, 3, 5)
    g.values(RESIDUAL, mine.residual_forward, x, branch, axes="B T C")
    g.gradient(mine.residual_forward, mine.residual_backward, x, branch)
    inputs = (x * 1.5 + 0.5, 1 + 0.3 * g.normal(5), g.normal(5), 0.6 * g.normal(5, 5), g.normal(5))
    g.values(SUBLAYER, mine.sublayer_forward, *inputs, axes="B T C")
    g.gradient(mine.sublayer_forward, mine.sublayer_backward, *inputs)
    weights, dout = [0.4 * g.normal(5, 5) for _ in range(4)], g.normal(2, 3, 5)
    for connected in (True, False):
        g.values(SIZES, mine.gradient_sizes, x, weights, dout, connected)
    g.values(SIZES, mine.gradient_sizes, x, weights[:1], dout, True)
    before = [x.copy(), dout.copy()]
    mine.gradient_sizes(x, weights, dout, True)
    g.probe("in-place", "gradient_sizes leaves x and dout as they were",
            lambda: np.array_equal(before[0], x) and np.array_equal(before[1], dout))


def after():
    """One thing worth knowing, with its numbers."""
    rng = np.random.default_rng(0)
    width, depth = 16, 30
    x, dout = rng.standard_normal((2, 2, 3, width))
    weights = [0.5 * rng.standard_normal((width, width)) / width**0.5 for _ in range(depth)]
    with_, without = (sizes(x, weights, dout, on) for on in (True, False))
    return (f"After {depth} layers the input gets {without[0] / without[-1]:.0e} of the gradient "
            f"without the connection, and {with_[0] / with_[-1]:.1f} times it with: too large "
            "rather than too small, since each branch adds some. GPT-2 therefore draws the weights "
            "that end a branch smaller by the root of the number of branches.")
