"""Writing and reading a pack: pack.safetensors with the tensors, pack.json with their order and
tolerances, pack.md with a page on how to compare.

Tensors are named PRECISION/KIND/NAME: float64 or float32; params, activations, dactivations or
grads; and PRECISION/greedy/ids. Beside them ids and targets, int64.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from ..budget import check_room_for
from ..checked import checked
from ..config import GPT2Config
from ..documents import read_json
from ..files import replacing_file, write_text
from ..generation import LanguageModel
from ..ids import check_integer
from ..layers.cross_entropy import IGNORE
from ..ops import TEXTBOOK
from ..params import Params, parameter_shapes
from ..probe.trace import Trace, trace
from ..tape import Array
from ..weights import CheckpointError
from ..weights.safetensors_file import read_arrays, write_safetensors

TENSORS, ABOUT, PAGE = "pack.safetensors", "pack.json", "pack.md"
PRECISIONS = ("float64", "float32")
KINDS = ("params", "activations", "dactivations", "grads")
INPUTS = ("ids", "targets")
GREEDY = "greedy/ids"
GREEDY_TOKENS = 10
# three sequences: so a factor of the batch size is not mistaken for a factor of 2
BATCH, LONGEST = 3, 7


@dataclass
class Pack:
    """A pack in memory: tensors by full name, and the content of pack.json, {} without one."""

    path: Path
    tensors: dict[str, Array]
    about: dict[str, object]


def tiny_config() -> GPT2Config:
    """The config of the smallest useful pack: every size different from every other."""
    return GPT2Config(vocab_size=17, n_positions=13, n_embd=12, n_layer=2, n_head=3,
                      resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)


@checked
def write_pack(folder: str | Path, config: GPT2Config, seed: int = 0) -> Path:
    """Write a pack of a random model of this config; returns the folder.

    Its activations are of unit scale: with the 0.02 of a new GPT-2, many mistakes would be too
    small to be noticed. Raises ValueError for a context of one position.
    """
    folder = Path(folder)
    rng = np.random.default_rng(check_integer("seed", seed, 0))
    check_room_for(config, np.float64, copies=8)
    params = _unit_scale_params(config, rng)
    if config.n_positions < 2:
        raise ValueError("expected n_positions of at least 2, got 1: nothing to attend to")
    length = min(config.n_positions - 1, LONGEST)
    ids = rng.integers(0, config.vocab_size, (BATCH, length))
    ids[:, -1] = ids[:, 0]              # a token that comes twice
    targets = rng.integers(0, config.vocab_size, (BATCH, length))
    targets[1, -1] = IGNORE             # and a target that is not counted
    tensors = {"ids": ids, "targets": targets}
    traces: dict[str, Trace] = {}
    for precision in PRECISIONS:
        rounded = {name: array.astype(precision) for name, array in params.items()}
        traces[precision] = trace(rounded, ids, targets, config)
        kinds = {"params": rounded, **vars(traces[precision])}
        tensors |= {f"{precision}/{kind}/{name}": np.array(array, order="C")
                    for kind in KINDS for name, array in kinds[kind].items()}
        tensors[f"{precision}/{GREEDY}"] = LanguageModel(config, rounded, TEXTBOOK).generate(
            ids[0], min(GREEDY_TOKENS, config.n_positions - length), temperature=0)
    order = [f"{kind}/{name}" for kind in KINDS[1:] for name in vars(traces["float64"])[kind]]
    about = {
        "format": "npgpt-pack", "version": 1, "config": config.to_dict(), "seed": int(seed),
        "how_to_compare": PAGE, "order": order,
        "tolerances": {"float64": {name: 1e-10 for name in order},
                       "float32": {name: _float32_tolerance(tensors, name) for name in order}},
    }
    folder.mkdir(parents=True, exist_ok=True)
    with replacing_file(folder / TENSORS) as beside:
        write_safetensors(beside, tensors)
    write_text(folder / ABOUT, json.dumps(about, indent=1) + "\n")
    write_text(folder / PAGE, files(__package__).joinpath(PAGE).read_text(encoding="utf-8"))
    return folder


@checked
def read_pack(path: str | Path) -> Pack:
    """A pack's folder, or a safetensors file alone; raises CheckpointError if it cannot be read."""
    path = Path(path)
    file = path / TENSORS if path.is_dir() else path
    tensors = read_arrays(file)
    about = file.with_name(ABOUT)
    return Pack(path, tensors, read_json(about, CheckpointError) if about.exists() else {})


def _unit_scale_params(config: GPT2Config, rng: np.random.Generator) -> Params:
    params: Params = {}
    for name, shape in parameter_shapes(config).items():
        noise = rng.standard_normal(shape)
        if len(shape) == 2:
            # a row of a table has shape[1] channels, a linear weight takes shape[0] inputs
            is_table = name in ("wte.weight", "wpe.weight", "lm_head.weight")
            fan_in = shape[1] if is_table else shape[0]
            params[name] = noise / np.sqrt(fan_in)
        else:
            params[name] = 0.2 * noise + (1.0 if "ln_" in name and name.endswith("weight") else 0.0)
    return params


def _float32_tolerance(tensors: dict[str, Array], name: str) -> float:
    # ten times the rounding error here, and never less than another order of summation may give
    exact, rounded = tensors[f"float64/{name}"], tensors[f"float32/{name}"]
    error = np.linalg.norm(rounded - exact) / max(float(np.linalg.norm(exact)), 1e-30)
    return float(f"{max(10.0 * error, 1e-5):.1e}")
