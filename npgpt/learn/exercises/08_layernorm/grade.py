"""How LayerNorm is graded."""

import functools

import numpy as np

from npgpt.doctor import Program


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
        "rstd^-3": -0.5 * rstd**-3, "no half": -rstd**3, "plus": 0.5 * rstd**3, "twice": -2 * rstd**3,
        "positive, no half": rstd**3, "no power": -0.5,
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
    if wrong == "constants":
        dx = dxhat * rstd
    if wrong == "weight after":
        dx = weight * rstd * (dout - _mean(dout) - xhat * _mean(dout * xhat))
    if wrong == "no rstd":
        dx = dx / rstd
    if wrong == "xhat's mean alone":
        dx = rstd * (dxhat - _mean(dxhat) - _mean(dxhat * xhat))
    if wrong == "mean of the product":
        dx = rstd * (dxhat - _mean(dxhat) - _mean(xhat * dxhat * xhat))
    if wrong == "xhat outside":
        dx = rstd * (dxhat - _mean(dxhat) - xhat * _mean(dxhat))
    if wrong == "sums":
        dx = rstd * (dxhat - C * _mean(dxhat) - xhat * C * _mean(dxhat * xhat))
    return {"dx": dx, "dweight": dweight, "dbias": dbias}


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
    ("term-factor", "no half", "the 1/2 is missing in dvar: the slope of (var + eps)^(-1/2) is -1/2 "
     "(var + eps)^(-3/2)"),
    ("term-factor", "twice", "in dvar stands 2 where 1/2 belongs: the slope of (var + eps)^(-1/2) is "
     "-1/2 (var + eps)^(-3/2)"),
    ("term-sign", "plus", "the minus is missing in dvar: a larger variance makes rstd smaller"),
    ("term-sign", "positive, no half", "-1/2 is missing in dvar: the slope of (var + eps)^(-1/2) is "
     "-1/2 (var + eps)^(-3/2)"),
    ("missing-term", "no eps", "eps is forgotten in dvar: rstd = (var + eps)^(-1/2)"),
    ("term-factor", "no 2", "the 2 is missing where dvar goes into dcentred: the slope of centred^2 "
     "is 2 centred"),
    ("term-factor", "no 1/C", "the 1/C is missing where dvar goes into dcentred: var is a mean over "
     "the C channels, so each has the slope 2 centred / C"),
    ("term-factor", "no 2/C", "2/C is missing where dvar goes into dcentred: var is the mean of "
     "centred^2, so each channel has the slope 2 centred / C"),
    ("bessel", "1/(C - 1)", "dvar is divided by C - 1 where it goes into dcentred; the forward "
     "divides by C"),
    ("wrong-variable", "x for centred", "dvar multiplies x where centred belongs: the variance is "
     "the mean of centred^2"),
    ("wrong-variable", "xhat for centred", "dvar multiplies xhat where centred belongs: the variance "
     "is the mean of centred^2"),
    ("term-factor", "no 1/C of mean", "the 1/C is missing where dmean goes into dx: mean is the sum "
     "of x over the channels, divided by C"),
    ("term-factor", "1/C twice", "dmean is divided by C twice"),
    ("term-sign", "mean's sign", "the path through the mean has the wrong sign: centred = x - mean, "
     "so the mean's slope is -1"),
    ("weight-after-means", "weight after", "weight is applied after the means: it multiplies each "
     "channel of dout first, dxhat = dout * weight, and the means are taken of that"),
    ("missing-factor", "no weight", "weight is missing in dx: out = xhat * weight + bias, so dxhat = "
     "dout * weight"),
    ("missing-factor", "no rstd", "rstd is missing in dx: it multiplies all three terms"),
    ("missing-factor", "xhat's mean alone", "xhat is missing in front of the second mean: the path "
     "through the variance moves each channel by its own xhat"),
    ("wrong-operator", "mean of the product", "the second mean holds one xhat too many: one xhat "
     "stands outside of the mean, one inside"),
    ("missing-factor", "xhat outside", "xhat is missing inside of the second mean: it is the mean of "
     "dxhat * xhat"),
    ("sum-for-mean", "sums", "sums stand where means belong: both are divided by C"),
]
BACKWARD = Program("layernorm", _gradients, [
    (kind, functools.partial(_gradients, wrong=wrong), sentence) for kind, wrong, sentence in KNOWN])


def grade(mine, g):
    """The forward with two sizes of eps, then both gradients."""
    forward = mine.layernorm_forward
    x, weight, bias = g.normal(2, 3, 5) + 0.5, 1 + 0.5 * g.normal(5), g.normal(5)
    for eps in (1e-5, 0.1):
        g.values("layernorm", forward, x, weight, bias, eps=eps, axes="B T C")
    for backward in (mine.layernorm_backward_staged, mine.layernorm_backward):
        @functools.wraps(backward)
        def gradients(x, weight, bias, dout, backward=backward):
            given = backward(dout, forward(x, weight, bias, eps=0.1)[1])
            return dict(zip(("dx", "dweight", "dbias"), given, strict=False))

        g.known(BACKWARD, gradients, x, weight, bias, g.normal(2, 3, 5))
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
