"""Which parameters a run trains: not what `freeze` names, and for an adapter the updates alone."""

from __future__ import annotations

from fnmatch import fnmatchcase

from ..budget import check_room_for
from ..config import GPT2Config
from ..params import parameter_shapes
from ..suggest import did_you_mean
from ..weights.peft import is_update
from .adapters import trains_adapter
from .settings import RunConfig


def frozen_names(run: RunConfig, config: GPT2Config) -> tuple[str, ...]:
    """The parameters of `config` that a run leaves as they are, in the order of the forward pass.

    Raises ValueError for a name in `freeze` that no parameter has, where nothing is left, and for
    a model larger than the machine's memory.
    """
    adapter = trains_adapter(run, config)
    if not adapter and not run.train.freeze:
        return ()
    check_room_for(config, run.train.dtype)     # blocks may be too many for a list of names
    names = list(parameter_shapes(config))
    frozen = {name for name in names if adapter and not is_update(name)}
    for pattern in filter(None, (part.strip() for part in run.train.freeze.split(","))):
        matched = {name for name in names
                   if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")}
        if not matched:
            stems = sorted({name.rpartition(".")[0] for name in names})
            raise ValueError(f"freeze: no parameter has the name {pattern!r}"
                             f"{did_you_mean(pattern, [*stems, *names])}; expected names such as "
                             f"wte, h.0, h.0.attn or h.*.ln_1")
        frozen |= matched
    if len(frozen) == len(names):
        raise ValueError("freeze: every parameter is frozen; leave some to be trained")
    return tuple(name for name in names if name in frozen)
