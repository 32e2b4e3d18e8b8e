"""How the gradient flows back: through the residual connections, and through the branches.

A half block gives x + branch(x). So the gradient at x is that after the half block, which came
through the residual connection unchanged, plus what came through the branch:

    dx = dout + dbranch        fraction of the branch = <dbranch, dx> / <dx, dx>

The two fractions sum to 1. One is negative where its part points against the whole.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..layers.cross_entropy import IGNORE
from ..tape import Array
from .encoding import Json, encoded
from .tracing import Traced, traced

# beside the gradient at the last point of the stream; between them a model learns
VANISHING, EXPLODING = 1e-3, 1e3
RULE = (f"vanishing: the root mean square of the gradient is below {VANISHING:g} times that at the "
        f"last point of the residual stream; exploding: above {EXPLODING:g} times")
# of a model that takes more products for a loss of each position's own, some positions get one
MOST_PRODUCTS = 2e10
SOME = 8


class Parts(NamedTuple):
    """The gradient at the input of a half block, taken apart, for each of B sequences."""

    whole: Array
    """Norms (B,)."""
    through_residual: Array
    """Norms (B,)."""
    through_branch: Array
    """Norms (B,)."""
    residual: Array
    """Fractions (B,)."""
    branch: Array
    """Fractions (B,)."""


def parts(seen: Traced, half: int) -> Parts:
    """The gradient at the input of half block `half`, which is layer half // 2's."""
    dx, dout = (_gradient(seen, seen.stream[i]) for i in (half, half + 1))      # (B, T * C) each
    if not seen.config.residual:
        dout = np.zeros_like(dx)
    dbranch = dx - dout
    with np.errstate(all="ignore"):
        square = (dx * dx).sum(axis=1)
        return Parts(*(np.sqrt((d * d).sum(axis=1)) for d in (dx, dout, dbranch)),
                     *((d * dx).sum(axis=1) / square for d in (dout, dbranch)))


def _gradient(seen: Traced, name: str) -> Array:
    gradient = seen.steps[name].gradient
    if gradient is None:
        return np.zeros((len(seen.ids), seen.steps[name].out[0].size))
    return gradient.reshape(len(gradient), -1).astype(np.float64)


def half_blocks(seen: Traced) -> list[Json]:
    """Where each half block stands: its layer, its part, and the steps around it."""
    found = []
    for half, (at, after) in enumerate(zip(seen.stream, seen.stream[1:])):
        branch = after
        if seen.config.residual:
            branch = seen.steps[after].inputs[1].name
        found.append({"layer": half // 2, "part": ("attn", "mlp")[half % 2], "at": at,
                      "after": after, "branch": branch})
    return found


def flow(seen: Traced) -> Json:
    """The gradient's way through every half block, and where it vanishes, explodes or breaks."""
    points = half_blocks(seen)
    for half, point in enumerate(points):
        got = parts(seen, half)
        point |= {"norm": float(got.whole[0]),
                  "through_residual": float(got.through_residual[0]),
                  "through_branch": float(got.through_branch[0]),
                  "residual": float(got.residual[0]), "branch_fraction": float(got.branch[0])}
    last = seen.stream[-1]
    reference = rms(_gradient(seen, last))
    flags = {}
    for name in seen.stream:
        size = rms(_gradient(seen, name))
        if size < VANISHING * reference:
            flags[name] = "vanishing"
        elif size > EXPLODING * reference:
            flags[name] = "exploding"
    broken = breaks(seen)
    flags |= {name: "not finite" for name in broken.steps}
    return {"points": points, "flags": flags, "rule": RULE, "limits": [VANISHING, EXPLODING],
            "reference": last, "reference_rms": reference,
            "vanishing": [name for name in flags if flags[name] == "vanishing"],
            "exploding": [name for name in flags if flags[name] == "exploding"],
            "first_not_finite": broken.first, "nan": broken.nan, "inf": broken.inf}


class Breaks(NamedTuple):
    """NaN and infinities of a pass."""

    first: str | None
    """In the order of execution: a step, or "the gradient of" one; None if all are finite."""
    steps: list[str]
    nan: int
    inf: int


def breaks(seen: Traced) -> Breaks:
    """Count NaN and infinities among values and gradients of all steps and parameters."""
    order = [(name, one.out) for name, one in seen.steps.items()]
    order += [(f"the gradient of {name}", one.gradient)
              for name, one in reversed(seen.steps.items()) if one.gradient is not None]
    order += [(f"the gradient of {name}", array) for name, array in seen.grads.items()]
    bad = [(name, array) for name, array in order if not np.isfinite(array).all()]
    nan = sum(int(np.isnan(array).sum()) for _, array in bad)
    steps = {name.removeprefix("the gradient of ") for name, _ in bad}
    return Breaks(bad[0][0] if bad else None, [name for name in seen.steps if name in steps], nan,
                  sum(int(np.isinf(array).sum()) for _, array in bad))


def rms(array: Array | None) -> float:
    """Root of the mean square; NaN where there is none."""
    if array is None or not array.size:
        return math.nan
    wide = array.astype(np.float64)
    with np.errstate(all="ignore"):
        return float(np.sqrt((wide * wide).mean()))


def paths(seen: Traced, losses: Array, exact: bool) -> Json:
    """The gradient of one position's loss alone, for each position; of a large model for a few.

    Each is a sequence of one batch, in which it is the only target.
    """
    positions = np.flatnonzero(seen.targets[0] != IGNORE)
    skipped = None
    size = sum(array.size for array in seen.params.values())
    if len(positions) * seen.length * size > MOST_PRODUCTS:
        order = np.argsort(-np.nan_to_num(losses[positions], nan=np.inf), kind="stable")
        kept = np.sort(positions[order[:SOME]])
        skipped = (f"of {len(positions)} positions the {len(kept)} with the highest loss have a "
                   f"gradient path of their own")
        positions = kept
    count = len(positions)
    targets = np.full((count, seen.length), IGNORE, np.int64)
    targets[np.arange(count), positions] = seen.targets[0, positions]
    alone = traced(seen.params, np.repeat(seen.ids, count, axis=0), targets, seen.config)
    halves = [parts(alone, half) for half in range(2 * seen.config.n_layer)]
    gradients = []
    for name in seen.stream:
        gradient = _gradient(alone, name).reshape(count, seen.length, -1)
        # the batch's loss is a mean over its sequences
        gradients.append(count * np.sqrt((gradient * gradient).mean(axis=2)))
    along = np.stack(gradients, axis=1)                                 # (P, points, T)
    channels = seen.config.n_embd

    def stacked(name: str, scale: float = 1.0) -> Array:
        return scale * np.stack([getattr(half, name) for half in halves], axis=1)

    branch = stacked("through_branch", count)
    with np.errstate(all="ignore"):
        return {"positions": positions.tolist(), "points": seen.stream, "skipped": skipped,
                "norms": encoded(np.sqrt((along * along).sum(axis=2) * channels), exact),
                "rms": encoded(along, exact), "residual": encoded(
                    stacked("through_residual", count), exact),
                "branch": encoded(branch, exact), "fraction": encoded(stacked("branch"), exact),
                "most": np.nan_to_num(branch).argmax(axis=1).tolist()}
