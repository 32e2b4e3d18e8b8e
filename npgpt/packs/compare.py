"""Comparing two packs: the first tensor, in the order of execution, that differs, and why."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..tape import Array
from ..weights import CheckpointError
from .causes import likely_cause
from .write import PRECISIONS, Pack, read_pack


@dataclass
class Comparison:
    """What was found. `first` is None when all tensors agree."""

    ours: Path
    theirs: Path
    precision: str
    compared: int = 0
    missing: list[str] = field(default_factory=list)
    first: str | None = None
    """KIND/NAME of the first tensor that differs."""
    last_right: str | None = None
    message: str = ""
    cause: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything that could be compared agrees."""
        return self.first is None

    def __str__(self) -> str:
        lines = [f"{self.compared} tensors compared in {self.precision}"]
        if self.missing:
            shown = ", ".join(self.missing[:4]) + (", ..." if len(self.missing) > 4 else "")
            lines.append(f"{len(self.missing)} are not in {self.theirs}: {shown}")
        if self.first is None:
            lines.append("all of them agree")
        else:
            lines.append(f"first difference: {self.first}")
            if self.last_right:
                lines.append(f"right until: {self.last_right}")
            lines += [self.message, f"likely cause: {self.cause}"]
        return "\n".join(textwrap.fill(line, 80, subsequent_indent="  ") for line in lines)


def compare_packs(ours: str | Path, theirs: str | Path) -> Comparison:
    """Hold another pack against one that npgpt wrote, tensor by tensor in the order of execution.

    `theirs` may lack tensors, and its names may leave out the precision. Raises CheckpointError
    where the first is no pack of npgpt's, or the second has nothing to compare.
    """
    reference, other = read_pack(ours), read_pack(theirs)
    if reference.about.get("format") != "npgpt-pack":
        raise CheckpointError(f"{ours} is no pack that npgpt wrote: there is no pack.json of it")
    precision, given = _theirs(other)
    result = Comparison(reference.path, other.path, precision)
    order = reference.about["order"]
    parameters = [name.partition("/")[2] for name in reference.tensors
                  if name.startswith(f"{precision}/params/")]
    own = {name: reference.tensors[f"{precision}/{name}"] for name in [*parameters, *order]}
    own |= {name: reference.tensors[name] for name in ("ids", "targets")}
    tolerances = reference.about["tolerances"][precision]
    for name in order:
        if name not in given:
            result.missing.append(name)
            continue
        result.compared += 1
        message = _difference(own[name], given[name], tolerances[name])
        if message:
            result.first, result.message = name, message
            result.cause = likely_cause(name, own, given[name], reference.about["config"])
            return result
        result.last_right = name
    if not result.compared:
        raise CheckpointError(f"{theirs} holds none of the {len(order)} tensors that {ours} names; "
                              f"they are named KIND/NAME, such as {order[0]}")
    return result


def _theirs(pack: Pack) -> tuple[str, dict[str, Array]]:
    for precision in PRECISIONS:
        part = {name.partition("/")[2]: array for name, array in pack.tensors.items()
                if name.startswith(f"{precision}/")}
        if any(not name.startswith("params/") for name in part):
            return precision, part
    doubles = any(array.dtype == np.float64 for array in pack.tensors.values())
    return PRECISIONS[0] if doubles else PRECISIONS[1], pack.tensors


def _difference(a: Array, b: Array, tolerance: float) -> str:
    """What differs, in one sentence; nothing where b is a within the tolerance."""
    if a.shape != b.shape:
        return f"ours has shape {a.shape}, theirs {b.shape}"
    bad = int(b.size - np.isfinite(b).sum())
    if bad:
        return f"{bad} of {b.size} numbers are NaN or infinite"
    gap = np.abs(a.astype(np.float64) - b)
    size = float(np.linalg.norm(a))
    error = float(np.linalg.norm(gap)) / max(size, 1e-30)
    # a gradient that is zero in exact arithmetic, such as the key bias's, is noise on both sides
    if error <= tolerance or float(gap.max(initial=0.0)) < 1e-14:
        return ""
    index = tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))
    return (f"relative error {error:.2e}, tolerance {tolerance:.0e}; worst at {list(index)}: "
            f"ours {float(a[index]):.9g}, theirs {float(b[index]):.9g}")
