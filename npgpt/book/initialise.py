"""A model initialised as the book does it: PyTorch's defaults, drawn in the order of construction.

Order      token table, position table; in each block query, key and value, the output projection,
           the two linear layers of the feed-forward network; the output head
Values     tables N(0, 1); linear layers uniform within 1 / sqrt(n_in); LayerNorms 1 and 0
Source     S. Raschka, Build a Large Language Model (From Scratch), Manning 2024, chapter 4
"""

from __future__ import annotations

from typing import Any, Mapping

import numpy as np

from ..config import GPT2Config
from ..fast.ops import FAST
from ..gpt2 import GPT2
from ..ops import Ops
from ..params import Params, parameter_shapes
from ..weights.book import KEYS
from .generator import DType, TorchGenerator

GPT_CONFIG_124M: dict[str, Any] = {
    "vocab_size": 50257,
    "context_length": 1024,
    "emb_dim": 768,
    "n_heads": 12,
    "n_layers": 12,
    "drop_rate": 0.1,
    "qkv_bias": False,
}


def gpt2_config(cfg: Mapping[str, Any]) -> GPT2Config:
    """The book's configuration as a GPT2Config; ValueError for a missing or unknown key."""
    missing = [key for key in GPT_CONFIG_124M if key not in cfg]
    unknown = [key for key in cfg if key not in GPT_CONFIG_124M]
    if missing or unknown:
        said = [f"{key!r} is missing" for key in missing]
        said += [f"{key!r} is unknown" for key in unknown]
        raise ValueError(f"{'; '.join(said)}; the book's keys are {', '.join(GPT_CONFIG_124M)}")
    rate = cfg["drop_rate"]
    return GPT2Config(
        **{ours: cfg[theirs] for theirs, ours in KEYS.items()},
        resid_pdrop=rate, embd_pdrop=rate, attn_pdrop=rate, tie_word_embeddings=False,
    )


def gpt2(
    cfg: Mapping[str, Any],
    seed: int | TorchGenerator = 123,
    dtype: DType = np.float32,
    ops: Ops = FAST,
) -> GPT2:
    """The book's untrained model, parameter for parameter.

        model = gpt2(GPT_CONFIG_124M, seed=123)

    `cfg` has the book's keys. A TorchGenerator as seed is drawn from and stays usable: the book's
    dropout goes on where its initialisation ended. `ops` as for GPT2.
    """
    config = gpt2_config(cfg)
    rng = seed if isinstance(seed, TorchGenerator) else TorchGenerator(seed)
    params = _draw(config, rng, np.dtype(dtype))
    return GPT2(config, params, ops)


def _draw(config: GPT2Config, rng: TorchGenerator, dtype: np.dtype) -> Params:
    c = config.n_embd
    shapes = parameter_shapes(config)
    params: Params = {}

    def keep(name: str, weight: np.ndarray, bias: np.ndarray | None) -> None:
        params[f"{name}.weight"] = np.ascontiguousarray(weight)
        if bias is not None:
            params[f"{name}.bias"] = bias

    params["wte.weight"] = rng.embedding(config.vocab_size, c, dtype)
    params["wpe.weight"] = rng.embedding(config.n_positions, c, dtype)
    for i in range(config.n_layer):
        h = f"h.{i}"
        # GPT-2 keeps the three side by side in one matrix
        parts = [rng.linear(c, c, config.qkv_bias, dtype) for _ in range(3)]
        biases = [bias for _, bias in parts if bias is not None]
        keep(f"{h}.attn.c_attn", np.concatenate([weight for weight, _ in parts], axis=1),
             np.concatenate(biases) if biases else None)
        keep(f"{h}.attn.c_proj", *rng.linear(c, c, dtype=dtype))
        keep(f"{h}.mlp.c_fc", *rng.linear(c, config.inner, dtype=dtype))
        keep(f"{h}.mlp.c_proj", *rng.linear(config.inner, c, dtype=dtype))
    head, _ = rng.linear(c, config.vocab_size, bias=False, dtype=dtype)
    params["lm_head.weight"] = head.T
    for name, shape in shapes.items():
        if name not in params:      # the LayerNorms
            params[name] = np.full(shape, 1.0 if name.endswith(".weight") else 0.0, dtype)
    return {name: params[name] for name in shapes}
