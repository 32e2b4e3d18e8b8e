"""A model initialised as the book does it: PyTorch's defaults, drawn in the order of construction.

Order      token table, position table; in each block query, key and value, the output projection,
           the two linear layers of the feed-forward network; the output head
Values     tables N(0, 1); linear layers uniform within 1 / sqrt(n_in); LayerNorms 1 and 0
Source     S. Raschka, Build a Large Language Model (From Scratch), Manning 2024, chapter 4
"""

from __future__ import annotations

from typing import Mapping, TypedDict

import numpy as np

from ..budget import check_room_for
from ..checked import checked
from ..config import GPT2Config
from ..fast.ops import FAST
from ..gpt2 import GPT2
from ..layers.contract import Array
from ..ops import Ops
from ..params import Params, parameter_shapes
from ..weights.book import KEYS
from .generator import DType, TorchGenerator


class BookConfig(TypedDict):
    """The book's configuration of a model, by its own names."""

    vocab_size: int
    context_length: int
    emb_dim: int
    n_heads: int
    n_layers: int
    drop_rate: float
    qkv_bias: bool


GPT_CONFIG_124M: BookConfig = {
    "vocab_size": 50257,
    "context_length": 1024,
    "emb_dim": 768,
    "n_heads": 12,
    "n_layers": 12,
    "drop_rate": 0.1,
    "qkv_bias": False,
}


def gpt2_config(cfg: Mapping[str, object]) -> GPT2Config:
    """The book's configuration as a GPT2Config; raises ValueError for missing and unknown keys."""
    missing = [key for key in GPT_CONFIG_124M if key not in cfg]
    unknown = [key for key in cfg if key not in GPT_CONFIG_124M]
    if missing or unknown:
        faults = [f"{key!r} is missing" for key in missing]
        faults += [f"{key!r} is unknown" for key in unknown]
        raise ValueError(f"{'; '.join(faults)}; the book's keys are {', '.join(GPT_CONFIG_124M)}")
    rate = cfg["drop_rate"]
    return GPT2Config.from_dict({
        **{ours: cfg[theirs] for theirs, ours in KEYS.items()},
        "resid_pdrop": rate, "embd_pdrop": rate, "attn_pdrop": rate, "tie_word_embeddings": False,
    })


@checked
def gpt2(
    cfg: Mapping[str, object],
    seed: int | TorchGenerator = 123,
    dtype: DType = np.float32,
    ops: Ops = FAST,
) -> GPT2:
    """The book's untrained model, parameter for parameter.

        model = gpt2(GPT_CONFIG_124M, seed=123)

    `cfg` has the book's keys. A TorchGenerator as seed stays usable: the book's dropout goes on
    where its initialisation ended. `ops` as for GPT2.
    """
    config = gpt2_config(cfg)
    rng = seed if isinstance(seed, TorchGenerator) else TorchGenerator(seed)
    c = config.n_embd
    params: Params = {}

    def add(name: str, weight: Array, bias: Array | None) -> None:
        params[f"{name}.weight"] = np.ascontiguousarray(weight)
        if bias is not None:
            params[f"{name}.bias"] = bias

    check_room_for(config, dtype, copies=2)
    params["wte.weight"] = rng.randn(config.vocab_size, c, dtype=dtype)
    params["wpe.weight"] = rng.randn(config.n_positions, c, dtype=dtype)
    for i in range(config.n_layer):
        h = f"h.{i}"
        # GPT-2 has the three side by side in one matrix
        parts = [rng.linear(c, c, config.qkv_bias, dtype) for _ in range(3)]
        biases = [bias for _, bias in parts if bias is not None]
        add(f"{h}.attn.c_attn", np.concatenate([weight for weight, _ in parts], axis=1),
            np.concatenate(biases) if biases else None)
        add(f"{h}.attn.c_proj", *rng.linear(c, c, dtype=dtype))
        add(f"{h}.mlp.c_fc", *rng.linear(c, config.inner, dtype=dtype))
        add(f"{h}.mlp.c_proj", *rng.linear(config.inner, c, dtype=dtype))
    head, _ = rng.linear(c, config.vocab_size, bias=False, dtype=dtype)
    params["lm_head.weight"] = head.T
    shapes = parameter_shapes(config)
    for name, shape in shapes.items():
        if name not in params:      # the LayerNorms
            params[name] = np.full(shape, 1.0 if name.endswith(".weight") else 0.0, dtype)
    return GPT2(config, {name: params[name] for name in shapes}, ops)
