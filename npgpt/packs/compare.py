"""Comparing two packs: the first tensor, in the order of execution, that differs, and why."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import numpy as np

from ..checked import checked
from ..config import GPT2Config
from ..documents import LONGEST_LINE, check_type
from ..suggest import one_line, shown
from ..tape import Array
from ..weights import CheckpointError
from .steps import likely_cause
from .write import ABOUT, GREEDY, INPUTS, PRECISIONS, Pack, read_pack


class About(TypedDict):
    """What a comparison reads of pack.json."""

    order: list[str]
    tolerances: dict[str, dict[str, float]]
    config: dict[str, object]


@dataclass
class Comparison:
    """The result of a comparison. `first` is None when all tensors agree."""

    theirs: Path
    precisions: list[str] = field(default_factory=list)
    compared: int = 0
    missing: list[str] = field(default_factory=list)
    first: str | None = None
    """KIND/NAME of the first tensor that differs."""
    last_right: str | None = None
    message: str = ""
    cause: str = ""
    kinds: tuple[str, ...] = ()
    """The stable names of the mistakes in `cause`."""

    @property
    def ok(self) -> bool:
        """Whether everything that could be compared agrees."""
        return self.first is None

    def __str__(self) -> str:
        plural = "" if self.compared == 1 else "s"
        lines = [f"{self.compared} tensor{plural} compared in {' and '.join(self.precisions)}"]
        if self.missing:
            shown = ", ".join(self.missing[:4]) + (", ..." if len(self.missing) > 4 else "")
            lines.append(f"{len(self.missing)} are not in {self.theirs}: {shown}")
        if self.first is None:
            lines.append("all of them agree")
        else:
            lines.append(f"first difference: {self.first}")
            if self.last_right:
                lines.append(f"correct up to: {self.last_right}")
            lines += [self.message, f"likely cause: {self.cause}"]
            lines += [f"npgpt explain {kind}" for kind in self.kinds[:1]]
        return "\n".join(textwrap.fill(line, 80, subsequent_indent="  ") for line in lines)


@checked
def compare_packs(ours: str | Path, theirs: str | Path) -> Comparison:
    """Compare another pack with one that npgpt wrote, tensor by tensor in the order of execution.

    `theirs` may lack tensors, and its names may leave out the precision; if it has both precisions,
    float64 comes first. Raises CheckpointError if the first was not written by npgpt or is damaged,
    and if the second holds nothing to compare.
    """
    reference, other = read_pack(ours), read_pack(theirs)
    order, tolerances, config = _description(reference)
    result = Comparison(other.path)
    computed = [*order, GREEDY]
    for precision, given in _by_precision(other).items():
        found = _by_precision(reference)[precision]
        inputs = [name for name in found if name not in computed]
        own = {name: found[name] for name in inputs + computed}
        result.precisions.append(precision)
        # whether theirs was computed from the same ids and parameters, as far as it holds them
        for name in inputs:
            result.message = _difference(own[name], given[name], 1e-6) if name in given else ""
            if result.message:
                result.first = name
                result.cause = ("their inputs differ: load the parameters, ids and targets of this "
                                "pack")
                return result
        for name in computed:
            if name not in given:
                result.missing.append(name)
                continue
            result.compared += 1
            tolerance = 0.0 if name == GREEDY else tolerances[precision][name]
            # one number, such as the loss, may stand in an array
            other_one = given[name].reshape(()) if own[name].ndim == 0 and given[name].size == 1 \
                else given[name]
            result.message = _difference(own[name], other_one, tolerance)
            if result.message:
                result.first = name
                result.cause, result.kinds = likely_cause(name, own, other_one, config)
                return result
            result.last_right = name
    if not result.compared:
        raise CheckpointError(f"{theirs} holds none of the {len(order)} tensors of {ours}; "
                              f"expected names KIND/NAME, such as {order[0]}")
    return result


@checked
def listed(path: str | Path) -> list[tuple[str, str]]:
    """(name, shape) of a pack's tensors: parameters first, then the others as they are computed.

    Raises CheckpointError for what npgpt did not write.
    """
    pack = read_pack(path)
    order, _, _ = _description(pack)
    given = [name.removeprefix("float64/") for name in pack.tensors
             if name in INPUTS or name.startswith("float64/params/")]
    return [(name, str(pack.tensors[name if name in INPUTS else f"float64/{name}"].shape))
            for name in (*given, *order, GREEDY)]


def _description(pack: Pack) -> tuple[list[str], dict[str, dict[str, float]], GPT2Config]:
    """Order, tolerances and config, from pack.json; raises CheckpointError if it is damaged."""
    about = pack.about
    if about.get("format") != "npgpt-pack":
        raise CheckpointError(f"{pack.path} is not a pack that npgpt wrote: it has no pack.json")
    try:
        found = check_type(about, About, ABOUT)
        order, tolerances = found["order"], found["tolerances"]
        config = GPT2Config.from_dict(found["config"])
        for precision in PRECISIONS:
            for name in order:
                tolerances[precision][name], pack.tensors[f"{precision}/{name}"]
            pack.tensors[f"{precision}/{GREEDY}"]
        pack.tensors["ids"], pack.tensors["targets"]
        if not order:
            raise ValueError("its order is empty")
    except KeyError as error:
        raise CheckpointError(f"{pack.path} is damaged: it lacks {shown(error.args[0])}; "
                              "write it again") from None
    except ValueError as error:
        raise CheckpointError(f"{pack.path} is damaged: {one_line(str(error), LONGEST_LINE)}; "
                              "write it again") from None
    return order, tolerances, config


def _by_precision(pack: Pack) -> dict[str, dict[str, Array]]:
    """A pack's tensors by precision and name; names without a precision go by their dtype."""
    shared = {name: pack.tensors[name] for name in INPUTS if name in pack.tensors}
    found = {}
    for precision in PRECISIONS:
        part = {name.removeprefix(f"{precision}/"): array for name, array in pack.tensors.items()
                if name.startswith(f"{precision}/")}
        if part:
            found[precision] = part | shared
    if found:
        return found
    doubles = any(array.dtype == np.float64 for array in pack.tensors.values())
    return {PRECISIONS[0] if doubles else PRECISIONS[1]: pack.tensors}


def _difference(a: Array, b: Array, tolerance: float) -> str:
    """What differs, in one sentence; "" if b equals a within the tolerance."""
    if a.shape != b.shape:
        return f"ours has shape {a.shape}, theirs {b.shape}"
    bad = int(b.size - np.isfinite(b).sum())
    if bad:
        return f"{bad} of {b.size} elements are NaN or infinite"
    # numbers of a damaged pack may overflow: then the error is infinite, or NaN
    with np.errstate(over="ignore", invalid="ignore"):
        gap = np.abs(a.astype(np.float64) - b)
        size = float(np.linalg.norm(a))
        error = float(np.linalg.norm(gap) / max(size, 1e-30))
    # a gradient that is zero in exact arithmetic, such as the key bias's, is noise on both sides
    if error <= tolerance or float(gap.max(initial=0.0)) < 1e-14:
        return ""
    index = tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))
    where = f"worst at {list(index)}: " if index else ""
    return (f"relative error {error:.2e}, tolerance {tolerance:.0e}; {where}"
            f"ours {float(a[index]):.9g}, theirs {float(b[index]):.9g}")
