"""How broadcasting is graded: the sum alone, then the gradients of x + b and x * w."""

import functools

import numpy as np

from npgpt.doctor import Program
from npgpt.layers.contract import Array

# simple ones first: an axis that was not there, one of length 1, both, neither, everything
PAIRS = [((2, 3), (3,)), ((5, 3), (5, 1)), ((2, 5, 3, 4), (1, 3, 1)), ((4, 5, 3), (5, 1)),
         ((5, 3), (5, 3)), ((2, 3), ())]
TOGETHER = [((2, 5, 3), (3,)), ((5, 3), (2, 1, 3)), ((3, 1), (1, 4)), ((2, 3), ()),
            ((2, 5, 3), (5, 1))]


def _axes(grad, shape):
    """The axes that were not there, and those that were stretched."""
    new = grad.ndim - len(shape)
    return (*range(new),), tuple(
        new + n for n, length in enumerate(shape) if length == 1 and grad.shape[new + n] > 1)


def _summed(grad: Array, shape: tuple[int, ...]) -> Array:
    new, stretched = _axes(grad, shape)
    return grad.sum(axis=new + stretched).reshape(shape)


def _new_only(grad, shape):
    return grad.sum(axis=_axes(grad, shape)[0])


def _stretched_only(grad, shape):
    return grad.sum(axis=_axes(grad, shape)[1], keepdims=True)


def _without_keepdims(grad, shape):
    new, stretched = _axes(grad, shape)
    return grad.sum(axis=new + stretched)


def _all_ones_dropped(grad, shape):
    new = grad.ndim - len(shape)
    return grad.sum(axis=(*range(new),)).sum(axis=tuple(
        n for n, length in enumerate(shape) if length == 1))


def _keepdims_for_all(grad, shape):
    new, stretched = _axes(grad, shape)
    return grad.sum(axis=new + stretched, keepdims=True)


def _mean(grad, shape):
    new, stretched = _axes(grad, shape)
    return grad.mean(axis=new + stretched).reshape(shape)


def _mean_of_new(grad, shape):
    new, stretched = _axes(grad, shape)
    return grad.mean(axis=new).sum(axis=tuple(n - len(new) for n in stretched)).reshape(shape)


def _mean_of_stretched(grad, shape):
    new, stretched = _axes(grad, shape)
    return grad.sum(axis=new).mean(axis=tuple(n - len(new) for n in stretched)).reshape(shape)


def _first(grad, shape):
    new, stretched = _axes(grad, shape)
    return grad[tuple(0 if n in new else slice(0, 1) if n in stretched else slice(None)
                      for n in range(grad.ndim))]


def _from_left(grad, shape):
    out = grad.sum(axis=(*range(len(shape), grad.ndim),))
    return out.sum(axis=tuple(n for n, length in enumerate(shape) if length == 1), keepdims=True)


def _not_shifted(grad, shape):
    new = grad.ndim - len(shape)
    return grad.sum(axis=(*range(new), *(n for n, length in enumerate(shape) if length == 1)))


def _called(function):
    """What it gives, under the call that gave it."""
    @functools.wraps(function)
    def call(grad, shape):
        return {f"sum_to(grad of shape {grad.shape}, {shape})": function(grad, shape)}

    return call


MISTAKES = [
    ("missing-broadcast-sum", lambda grad, shape: grad,
     "nothing is summed: what was used more than once collects from each use"),
    ("size-1", _new_only, "only the axes that were not there are summed: an axis of length 1 was "
                          "stretched as well, and is summed with keepdims=True"),
    ("new-axes-kept", _stretched_only, "only the axes of length 1 are summed: axes that were not "
                                       "there at all are to be summed away, too"),
    ("keepdims", _without_keepdims, "keepdims is missing: an axis of length 1 stays in the shape"),
    ("keepdims", _all_ones_dropped, "keepdims is missing: an axis of length 1 stays in the shape"),
    ("new-axes-kept", _keepdims_for_all, "keepdims keeps the axes that were not there as well: "
                                         "those are to go away"),
    ("mean-for-sum", _mean, "a mean is taken: contributions add up, they are not averaged"),
    ("mean-for-sum", _mean_of_new, "over the axes that were not there a mean is taken: "
                                   "contributions add up"),
    ("mean-for-sum", _mean_of_stretched, "over the axes of length 1 a mean is taken: contributions "
                                         "add up"),
    ("batch-dropped", _first, "only the first use is taken: every use contributes"),
    ("wrong-axis", _from_left, "the shapes are put side by side at their left ends: NumPy aligns "
                               "them at the right"),
    ("wrong-axis", _not_shifted, "axes are counted in shape, but summed in grad, which may have "
                                 "more in front: shift them"),
    ("wrong-axis", lambda grad, shape: np.broadcast_to(grad.sum(), shape),
     "everything is summed to one number: elements that were not stretched keep their own"),
    ("wrong-axis", lambda grad, shape: grad.sum(), "everything is summed to one number"),
    ("wrong-axis", lambda grad, shape: grad.sum(axis=-1), "it is summed over the last axis: which "
                                                          "axes were stretched?"),
    ("wrong-axis", lambda grad, shape: grad.sum(axis=0), "it is summed over axis 0 whatever the "
                                                         "shapes are: which axes were stretched?"),
    ("wrong-axis", lambda grad, shape: grad.reshape(-1, *shape).sum(axis=0),
     "a reshape to shape mixes elements: they do not lie that way unless only axes in front were "
     "added; sum over the axes that were stretched"),
    ("wrong-axis", lambda grad, shape: np.resize(grad, shape),
     "it is cut to shape: every element of grad contributes"),
]
SUM_TO = Program("sum_to", _called(_summed), [
    (kind, _called(function), sentence) for kind, function, sentence in MISTAKES
], draw=lambda rng, settings, n: (
    (rng.standard_normal(PAIRS[n % len(PAIRS)][0]), PAIRS[n % len(PAIRS)][1]), {}))


def _too_soon(mine, g):
    """dw as the product of two sums: the doctor would name each sum by itself."""
    x, w, dout = g.normal(2, 5, 3), g.normal(3), g.normal(2, 5, 3)
    try:
        _, dw = mine.mul_backward(dout, mine.mul_forward(x, w)[1])
    except (TypeError, ValueError):
        return
    for a, b in ((dout.sum((0, 1)), x.sum((0, 1))), (dout.sum((0, 1)), x.mean((0, 1))),
                 (dout.mean((0, 1)), x.sum((0, 1)))):
        if np.shape(dw) == (3,) and np.allclose(dw, a * b):
            g.fail("summed-too-soon", "mul_backward, gradient of w: dout and x are summed first "
                   "and multiplied then. A product of two sums is not the sum of the products: "
                   "multiply dout by x first, element by element, and sum the result")
    _multiplied_late(mine, g)


def _multiplied_late(mine, g):
    """dout summed to one operand's shape, and multiplied by the other operand then."""
    for x_shape, w_shape in (((2, 5, 3), (3,)), ((3, 1), (1, 4))):
        x, w = g.normal(*x_shape), g.normal(*w_shape)
        out, cache = mine.mul_forward(x, w)
        dout = g.normal(*out.shape)
        try:
            grads = dict(zip("wx", mine.mul_backward(dout, cache)[::-1]))
        except (TypeError, ValueError):
            return
        for name, own, other in (("w", w, x), ("x", x, w)):
            late = _summed(dout, own.shape) * other
            if late.shape != own.shape and late.shape == np.shape(grads[name]) and np.allclose(
                    grads[name], late):
                factor = "xw"[name == "x"]
                g.fail("summed-too-soon", f"mul_backward, gradient of {name}: dout is summed first "
                       f"and multiplied by {factor} then, so the result has {factor}'s shape "
                       f"again, {late.shape}. Multiply dout by {factor}, and sum the product to "
                       f"{name}'s shape, {own.shape}")


def grade(mine, g):
    """sum_to for every kind of stretching, then both gradients for shapes that stretch either."""
    g.values(SUM_TO, _called(mine.sum_to))
    for forward, backward in ((mine.add_forward, mine.add_backward),
                              (mine.mul_forward, mine.mul_backward)):
        if backward is mine.mul_backward:
            _too_soon(mine, g)
        for x_shape, other in TOGETHER:
            g.gradient(forward, backward, g.normal(*x_shape), g.normal(*other))


def after():
    """How often a bias is used in GPT-2."""
    from npgpt.config import GPT2Config

    config = GPT2Config.named("gpt2")
    batch = 8
    uses = batch * config.n_positions
    return ("Broadcasting and summing are each other's transpose: forward copies, backward adds, "
            f"and the other way round. In GPT-2 with {batch} sequences of {config.n_positions:,} "
            f"tokens each bias is used {uses:,} times. A mean in place of the sum makes its "
            f"gradient {uses:,} times too small: the shapes are right, and nothing learns.")
