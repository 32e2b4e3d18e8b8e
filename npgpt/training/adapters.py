"""Runs that train low-rank updates alone: their checkpoints are adapters beside a base model.

A checkpoint's run.json has the crc32 of the base's weights, which must still be the same.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Sequence

from ..config import GPT2Config
from ..params import Params, check_params
from ..weights.errors import bad_file
from ..weights.peft import ADAPTER, ADAPTER_CONFIG, base_of, is_update, lasting, moved_to
from ..weights.reading import read
from .settings import RunConfig


def trains_adapter(run: RunConfig, config: GPT2Config) -> bool:
    """Whether a run trains and saves low-rank updates alone, beside another model's weights."""
    return bool(run.train.init_from) and config.lora_rank > 0


def load_adapted(
    folder: Path, run: RunConfig, crc32: str | None
) -> tuple[GPT2Config, Params]:
    """The model that a checkpoint's updates belong to, with them beside its weights.

    Raises CheckpointError where the base or the updates are not those that were trained.
    """
    file = folder / ADAPTER
    found, params = read(file, run.train.dtype)
    config = run.model_config(found.vocab_size)
    params["wpe.weight"] = params["wpe.weight"][:config.n_positions]
    try:
        check_params(config, params)
    except ValueError as error:
        raise bad_file(file, f"its updates are not those of the run's settings: {error}") from None
    if not math.isclose(found.lora_scale, config.lora_scale):
        raise bad_file(folder / ADAPTER_CONFIG, f"lora_alpha is {found.lora_alpha:g}, the run's "
                       f"{config.lora_alpha:g}")
    if base_crc32(params) != crc32:
        raise bad_file(file, f"the weights at {base_of(folder)} are not those that it was trained "
                             f"on")
    return config, params


def base_of_run(run: RunConfig, before: Sequence[Path] = ()) -> str:
    """Where the weights are that a run's updates are added to, as its checkpoints before say."""
    start = before[-1] if before else Path(run.train.init_from)
    if not (start / ADAPTER).is_file() and not moved_to():
        return run.train.init_from
    return lasting(base_of(start))


def base_crc32(params: Params) -> str:
    """The crc32 of all parameters but the updates, in the order of their names."""
    crc = 0
    for name in sorted(name for name in params if not is_update(name)):
        crc = zlib.crc32(params[name].tobytes(), crc)
    return f"{crc:08x}"
