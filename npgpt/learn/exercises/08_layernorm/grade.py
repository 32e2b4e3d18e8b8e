"""How LayerNorm is graded."""

import functools
from dataclasses import replace

import numpy as np

from npgpt.doctor import Program
from npgpt.doctor.values.catalogue import PROGRAMS


def _mean(a):
    return a.mean(-1, keepdims=True)


def _gradients(x, weight, bias, dout, *, eps=0.1, wrong=None):
    """dx, dweight and dbias in steps, with one mistake made."""
    C = x.shape[-1]
    centred = x - _mean(x)
    var = _mean(centred**2)
    rstd = 1 / np.sqrt(var + eps)
    xhat = centred * rstd
    dweight, dbias = (dout * xhat).sum((0, 1)), dout.sum((0, 1))

    dxhat = dout if wrong == "no weight" else dout * weight
    drstd = dxhat * centred
    if wrong != "no sum in drstd":
        drstd = drstd.sum(-1, keepdims=True)
    dvar = drstd * {
        "rstd^2": -0.5 * rstd**2, "rstd": -0.5 * rstd, "rstd^1.5": -0.5 * rstd**1.5,
        "rstd^-3": -0.5 * rstd**-3, "no half": -rstd**3, "plus": 0.5 * rstd**3,
        "twice": -2 * rstd**3, "positive, no half": rstd**3, "no power": -0.5,
        "no eps": -0.5 * var**-1.5 if eps else 0}.get(wrong, -0.5 * rstd**3)
    into = {"no 2": 1 / C, "no 1/C": 2.0, "no 2/C": 1.0, "1/(C - 1)": 2 / (C - 1)}.get(wrong, 2 / C)
    dcentred = dxhat * rstd
    early = dcentred.sum(-1, keepdims=True)
    dcentred = dcentred + dvar * into * (x if wrong == "x for centred" else
                                         xhat if wrong == "xhat for centred" else centred)
    dmean = -dcentred.sum(-1, keepdims=True)
    if wrong == "early mean":
        dmean = -early
    dx = dcentred + dmean / {"no 1/C of mean": 1, "1/C twice": C * C}.get(wrong, C) * (
        -1 if wrong == "mean's sign" else 1)
    axis, N = AXES.get(wrong, -1), C

    def over(a):
        return a.mean(axis, keepdims=True)

    if wrong == "constants":
        dx = dxhat * rstd
    if wrong == "weight after":
        dx = weight * rstd * (dout - _mean(dout) - xhat * _mean(dout * xhat))
    if wrong == "no rstd":
        dx = dx / rstd
    if wrong == "rstd first":
        dx = rstd * dxhat - _mean(dxhat) - xhat * _mean(dxhat * xhat)
    if wrong == "xhat's mean alone":
        dx = rstd * (dxhat - _mean(dxhat) - _mean(dxhat * xhat))
    if wrong == "mean of the product":
        dx = rstd * (dxhat - _mean(dxhat) - _mean(xhat * dxhat * xhat))
    if wrong == "xhat outside":
        dx = rstd * (dxhat - _mean(dxhat) - xhat * _mean(dxhat))
    if wrong == "sums":
        dx = rstd * (dxhat - C * _mean(dxhat) - xhat * C * _mean(dxhat * xhat))
    if wrong in AXES:
        dx = rstd * (dxhat - over(dxhat) - xhat * over(dxhat * xhat))
    if wrong in ("N = B", "N = T", "N = B * T"):
        N = {"N = B": len(x), "N = T": x.shape[1], "N = B * T": len(x) * x.shape[1]}[wrong]
        dx = rstd / N * (N * dxhat - C * _mean(dxhat) - xhat * C * _mean(dxhat * xhat))
    return {"dx": dx, "dweight": dweight, "dbias": dbias}


def _out(x, weight, bias, *, eps=1e-5, axis=None):
    """The forward, with mean and variance over another axis."""
    centred = x - x.mean(axis, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis, keepdims=True) + eps) * weight + bias


def _std_of_all(x, weight, bias, *, eps=1e-5):
    return (x - _mean(x)) / np.sqrt(x.var() + eps) * weight + bias


def _other(x, weight, bias, *, eps=1e-5, wrong):
    """The forward with one mistake made."""
    centred = x + _mean(x) if wrong == "mean added" else x - _mean(x)
    if wrong == "sum for mean":
        centred = x - x.sum(-1, keepdims=True)
    var = _mean(centred) if wrong == "not squared" else _mean(centred**2)
    if wrong == "sum of squares":
        var = (centred**2).sum(-1, keepdims=True)
    root = np.sqrt(var + eps)
    if wrong == "swapped":
        weight, bias = bias, weight
    return (centred * root if wrong == "multiplied" else centred / root) * weight + bias


def _root_of_eps(x, weight, bias, *, eps=1e-5):
    return (x - _mean(x)) / (x.std(-1, keepdims=True) + np.sqrt(eps)) * weight + bias


LAYERNORM = PROGRAMS["layernorm"]
FORWARD = replace(LAYERNORM, variants=[
    *LAYERNORM.variants,
    ("norm-over-batch", functools.partial(_out, axis=0),
     "mean and variance are taken over axis 0, the batch; each position has its own, over its C "
     "channels"),
    ("norm-over-everything", _out, "one mean and one variance are taken of the whole array; each "
     "position has its own, over its C channels"),
    ("norm-over-everything", _std_of_all, "one variance is taken of the whole array; each position "
     "has its own, over its C channels"),
    ("eps-outside-root", _root_of_eps, "the root is taken of var and of eps, each for itself: it "
     "is sqrt(var + eps)"),
    *((kind, functools.partial(_other, wrong=wrong), sentence) for kind, wrong, sentence in [
        ("term-sign", "mean added", "the mean is added: it is subtracted"),
        ("sum-for-mean", "sum for mean", "the sum over the channels is subtracted, not their mean"),
        ("sum-for-mean", "sum of squares", "the variance is a sum of squares: it is their mean"),
        ("variance-not-squared", "not squared", "centred is not squared in the variance: its mean "
                                                "is 0"),
        ("wrong-operator", "multiplied", "centred is multiplied by the root: it is divided by it"),
        ("arguments-swapped", "swapped", "weight and bias have changed places"),
    ]),
])
AXES = {"axis 1": 1, "axis 0": 0, "axes 0, 1": (0, 1), "everything": None}
# kind, which, and the sentence; ONE has those of the one expression that differ
KNOWN = [
    ("missing-term", "constants", "mean and variance are taken as constants: x reaches out through "
     "both of them too, so dx has three terms"),
    ("missing-broadcast-sum", "no sum in drstd", "the sum over the channels is missing in drstd: "
     "rstd is one number for each row, and all C channels are multiplied by it"),
    ("wrong-power", "rstd^2", "rstd is squared in dvar: it is (var + eps)^(-1/2), whose slope is "
     "-1/2 (var + eps)^(-3/2), and that is -1/2 rstd^3"),
    ("wrong-power", "rstd", "dvar holds rstd once: (var + eps)^(-1/2) has the slope -1/2 (var + "
     "eps)^(-3/2), and that is -1/2 rstd^3"),
    ("wrong-power", "rstd^1.5", "dvar holds rstd^(3/2): the slope of (var + eps)^(-1/2) is -1/2 "
     "(var + eps)^(-3/2), and rstd is the inverse root already, so it is rstd^3"),
    ("wrong-power", "rstd^-3", "dvar holds rstd^-3: the slope of (var + eps)^(-1/2) is -1/2 (var + "
     "eps)^(-3/2), and that is -1/2 rstd^3"),
    ("wrong-power", "no power", "dvar holds no power of rstd: the slope of (var + eps)^(-1/2) is "
     "-1/2 (var + eps)^(-3/2)"),
    ("term-factor", "no half", "the 1/2 is missing in dvar: the slope of (var + eps)^(-1/2) is "
     "-1/2 (var + eps)^(-3/2)"),
    ("term-factor", "twice", "in dvar stands 2 where 1/2 belongs: the slope of (var + eps)^(-1/2) "
     "is -1/2 (var + eps)^(-3/2)"),
    ("term-sign", "plus", "the minus is missing in dvar: a larger variance makes rstd smaller"),
    ("term-sign", "positive, no half", "-1/2 is missing in dvar: the slope of (var + eps)^(-1/2) "
     "is -1/2 (var + eps)^(-3/2)"),
    ("missing-term", "no eps", "eps is forgotten in dvar: rstd = (var + eps)^(-1/2)"),
    ("term-factor", "no 2", "the 2 is missing where dvar goes into dcentred: the slope of "
     "centred^2 is 2 centred"),
    ("term-factor", "no 1/C", "the 1/C is missing where dvar goes into dcentred: var is a mean "
     "over the C channels, so each has the slope 2 centred / C"),
    ("term-factor", "no 2/C", "2/C is missing where dvar goes into dcentred: var is the mean of "
     "centred^2, so each channel has the slope 2 centred / C"),
    ("bessel", "1/(C - 1)", "dvar is divided by C - 1 where it goes into dcentred; the forward "
     "divides by C"),
    ("wrong-variable", "x for centred", "dvar multiplies x where centred belongs: the variance is "
     "the mean of centred^2"),
    ("wrong-variable", "xhat for centred", "dvar multiplies xhat where centred belongs: the "
     "variance is the mean of centred^2"),
    ("term-factor", "no 1/C of mean", "the 1/C is missing where dmean goes into dx: mean is the "
     "sum of x over the channels, divided by C"),
    ("term-factor", "1/C twice", "dmean is divided by C twice"),
    ("term-sign", "mean's sign", "the path through the mean has the wrong sign: centred = x - "
     "mean, so the mean's slope is -1"),
    ("weight-after-means", "weight after", "weight is applied after the means: it multiplies each "
     "channel of dout first, dxhat = dout * weight, and the means are taken of that"),
    ("missing-factor", "no weight", "weight is missing in dx: out = xhat * weight + bias, so dxhat "
     "= dout * weight"),
    ("missing-factor", "no rstd", "rstd is missing in dx: it multiplies all three terms"),
    ("missing-factor", "xhat's mean alone", "xhat is missing in front of the second mean: the path "
     "through the variance moves each channel by its own xhat"),
    ("wrong-operator", "mean of the product", "the second mean holds one xhat too many: one xhat "
     "stands outside of the mean, one inside"),
    ("missing-factor", "xhat outside", "xhat is missing inside of the second mean: it is the mean "
     "of dxhat * xhat"),
    ("sum-for-mean", "sums", "sums stand where means belong: both are divided by C"),
]
ONE = {
    "rstd": "the second mean holds centred where xhat belongs: centred is xhat without rstd",
    "no half": "the second mean counts twice: it is xhat * mean(dxhat * xhat)",
    "plus": "the second mean is added: both means are subtracted",
    "no 2": "the second mean counts half: it is xhat * mean(dxhat * xhat)",
    "no 1/C": "in the second place stands a sum: it is a mean, so 1/C is missing",
    "1/(C - 1)": "the second mean is divided by C - 1: the forward divides by C",
    "no 1/C of mean": "in the first place stands a sum: it is a mean, so 1/C is missing",
    "1/C twice": "the first mean is divided by C once more",
    "mean's sign": "the first mean is added: both means are subtracted",
    "xhat for centred": "xhat holds rstd already: there is one rstd too many in the second mean",
    "no eps": "rstd holds no eps in the second mean: it is 1 / sqrt(var + eps)",
}
LAST = ("the means run over {}: they run over the channels, axis -1, as the forward's do")
MORE = [
    ("missing-factor", "rstd first",
     "rstd multiplies only the first term: it multiplies all three"),
    ("wrong-axis", "axis 0", LAST.format("axis 0, the batch")),
    ("wrong-axis", "axis 1", LAST.format("axis 1, the positions")),
    ("wrong-axis", "axes 0, 1", LAST.format("batch and positions (as batch norm's do)")),
    ("wrong-axis", "everything", LAST.format("the whole array")),
    *(("wrong-axis", f"N = {n}", f"N is taken as {n}: it is C, the number of channels, over which "
       "the sums run") for n in ("B", "T", "B * T")),
]


def _backward(one):
    """What is known of the steps, or of the one expression, in its own words."""
    return Program("layernorm", _gradients, [
        (kind, functools.partial(_gradients, wrong=wrong), ONE.get(wrong, text) if one else text)
        for kind, wrong, text in [*KNOWN, *MORE]])


def grade(mine, g):
    """The forward with two sizes of eps, then both gradients."""
    forward = mine.layernorm_forward
    x, weight, bias = g.normal(2, 3, 5) + 0.5, 1 + 0.5 * g.normal(5), g.normal(5)
    for eps in (1e-5, 0.1):
        g.values(FORWARD, forward, x, weight, bias, eps=eps, axes="B T C")
    for backward in (mine.layernorm_backward_staged, mine.layernorm_backward):
        @functools.wraps(backward)
        def gradients(x, weight, bias, dout, backward=backward):
            given = backward(dout, forward(x, weight, bias, eps=0.1)[1])
            return dict(zip(("dx", "dweight", "dbias"), given, strict=False))

        one = backward is mine.layernorm_backward
        found = len(g.findings)
        g.known(_backward(one), gradients, x, weight, bias, g.normal(2, 3, 5))
        if len(g.findings) == found:    # the doctor would say it again under another name
            g.gradient(forward, backward, x, weight, bias, eps=0.1)
            g.gradient(forward, backward, g.normal(1, 3, 5), weight, bias)


def after():
    """What the two means take out of the gradient."""
    from npgpt.layers.layernorm import layernorm_backward, layernorm_forward

    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 8))
    _, cache = layernorm_forward(x, np.ones(8), np.zeros(8), eps=0.0)
    dx, _, _ = layernorm_backward(rng.standard_normal((1, 8)), cache)
    return (f"dx sums to {abs(dx.sum()):.0e} over a row, and so does dx * x: "
            f"{abs((dx * x).sum()):.0e} (for eps = 0). Shifting or scaling a whole row does not "
            "change out, so the gradient has nothing in these two directions: the two means take "
            "them out. This is why the blocks before a norm may grow without harm, and why their "
            "gradients shrink as they do. Batch norm has the same formula with the means over the "
            "batch.")
