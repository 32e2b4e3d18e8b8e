"""GPT2Config: the shape of a model, with Hugging Face's field names and a few of our own."""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Mapping

ACTIVATIONS = ("gelu_new", "gelu", "relu", "leaky_relu", "silu", "swiglu", "identity")
NORMS = ("layernorm", "none")
SLOPES = ("layer", "shared", "fixed")
END_OF_TEXT = 50256     # the token that begins and ends a text in GPT-2's vocabulary

# the four published sizes: layers, heads, channels
SIZES: dict[str, dict[str, int]] = {
    "gpt2": {"n_layer": 12, "n_head": 12, "n_embd": 768},
    "gpt2-medium": {"n_layer": 24, "n_head": 16, "n_embd": 1024},
    "gpt2-large": {"n_layer": 36, "n_head": 20, "n_embd": 1280},
    "gpt2-xl": {"n_layer": 48, "n_head": 25, "n_embd": 1600},
}


@dataclass(frozen=True)
class GPT2Config:
    """The architecture of one model; the defaults are GPT-2's smallest, 124M parameters.

    Hugging Face's fields:
        vocab_size, n_positions     number of token ids, and of positions (the context)
        n_embd, n_layer, n_head     channels C, blocks, heads; n_head divides n_embd
        n_inner                     width of the feed-forward network; None is 4 * n_embd
        activation_function         gelu_new (tanh form), gelu (exact), relu, leaky_relu, silu,
                                    swiglu, identity (no bend at all)
        layer_norm_epsilon          added to the variance
        resid_pdrop, embd_pdrop, attn_pdrop     dropout rates, used in training only
        initializer_range           standard deviation of the initial weights
        tie_word_embeddings         the token table is also the output matrix
    Ours:
        norm                        layernorm, or none: blocks without LayerNorm
        final_norm                  False removes the one after the last block too
        qkv_bias                    False removes the bias of q, k and v
        scale_residual_init         the two matrices that write to the residual stream start
                                    smaller, by 1 / sqrt(2 * n_layer)
        leaky_slope                 of leaky_relu: learned for each layer, learned once and shared
                                    by all layers, or fixed
        slope_init                  its first value; where it is fixed, its value
        slope_decay                 weight decay shrinks a learned slope too
        frozen_biases               only queries and keys have biases: those of the values, of both
                                    c_proj and of the feed-forward network are zeros for good
        weight_norm                 a block's linear weights are gain * v / |v|, gain learned for
                                    each output: v is kept as `.weight`, gain as `.gain`
        entropy_penalty             above 0, training minimises the cross-entropy plus this times
                                    the mean over layers and heads of d^2, where attention's
                                    entropy lies more than entropy_tolerance off its target; d is
                                    the distance in nats. The loss of every other use is the
                                    cross-entropy alone
        entropy_tolerance           as a share of the greatest entropy, ln(T!) / T
        entropy_target              the first target of every head, likewise; it is learned

    With norm="none", LayerNorm remains after the last block unless final_norm is False too.
    Raises ValueError, naming the field, what was given and what would fit.
    """

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    layer_norm_epsilon: float = 1e-5
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True
    norm: str = "layernorm"
    final_norm: bool = True
    qkv_bias: bool = True
    scale_residual_init: bool = True
    leaky_slope: str = "layer"
    slope_init: float = 0.01
    slope_decay: bool = False
    frozen_biases: bool = False
    weight_norm: bool = False
    entropy_penalty: float = 0.0
    entropy_tolerance: float = 0.2
    entropy_target: float = 0.5

    def __post_init__(self) -> None:
        for name in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head"):
            _check_count(name, getattr(self, name))
        if self.n_inner is not None:
            _check_count("n_inner", self.n_inner)
        if self.n_embd % self.n_head:
            fits = _divisors_near(self.n_embd, self.n_head)
            raise ValueError(
                f"n_head={self.n_head} does not divide n_embd={self.n_embd}; try {fits}"
            )
        _check_choice("activation_function", self.activation_function, ACTIVATIONS)
        _check_choice("norm", self.norm, NORMS)
        _check_choice("leaky_slope", self.leaky_slope, SLOPES)
        for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
            rate = _check_number(name, getattr(self, name))
            if not 0.0 <= rate < 1.0:
                raise ValueError(f"{name}={rate} is outside [0, 1); 0 drops nothing")
        for name in ("layer_norm_epsilon", "initializer_range"):
            if not 0.0 < _check_number(name, getattr(self, name)) < float("inf"):
                raise ValueError(f"{name}={getattr(self, name)} must be a positive number")
        if not math.isfinite(_check_number("slope_init", self.slope_init)):
            raise ValueError(f"slope_init={self.slope_init} must be a finite number")
        for name in ("entropy_penalty", "entropy_tolerance", "entropy_target"):
            most = math.inf if name == "entropy_penalty" else 1.0
            value = _check_number(name, getattr(self, name))
            if not (0.0 <= value <= most and math.isfinite(value)):
                fits = "a number of at least 0" if most > 1 else "a share, from 0 to 1"
                raise ValueError(f"{name}={value} must be {fits}")
        for name in ("tie_word_embeddings", "final_norm", "qkv_bias", "scale_residual_init",
                     "slope_decay", "frozen_biases", "weight_norm"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}={getattr(self, name)!r} must be true or false")

    @property
    def inner(self) -> int:
        """Width of the feed-forward network: n_inner, or 4 * n_embd."""
        return 4 * self.n_embd if self.n_inner is None else self.n_inner

    @property
    def head_size(self) -> int:
        """Channels of one head, D = C / H."""
        return self.n_embd // self.n_head

    @property
    def block_norm(self) -> bool:
        """Whether the blocks have their two LayerNorms."""
        return self.norm == "layernorm"

    @classmethod
    def named(cls, name: str, **changes: Any) -> GPT2Config:
        """One of the four published sizes, `gpt2` to `gpt2-xl`, with changes if any."""
        if name not in SIZES:
            raise ValueError(
                f"{name!r} is no GPT-2 size{_nearest(name, SIZES)}; there are {', '.join(SIZES)}"
            )
        return cls.from_dict({**SIZES[name], **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], ignore_unknown: bool = False) -> GPT2Config:
        """Build from a mapping; an unknown key is an error that suggests the nearest.

        `ignore_unknown` is for a Hugging Face config.json, which holds many fields of its own.
        """
        known = [field.name for field in fields(cls)]
        unknown = [key for key in values if key not in known]
        if unknown and not ignore_unknown:
            raise ValueError(
                f"unknown model setting {unknown[0]!r}{_nearest(unknown[0], known)}; "
                f"there are {', '.join(known)}"
            )
        return cls(**{key: values[key] for key in known if key in values})

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values."""
        return asdict(self)

    def replace(self, **changes: Any) -> GPT2Config:
        """A copy with some fields changed."""
        return self.from_dict({**self.to_dict(), **changes})

    def save(self, path: Path) -> None:
        """Write as a Hugging Face config.json."""
        # left out, transformers would take 50256 for any vocabulary
        end = END_OF_TEXT if self.vocab_size > END_OF_TEXT else None
        content = {
            "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"],
            "bos_token_id": end, "eos_token_id": end, **self.to_dict(),
        }
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}={value!r} must be a whole number of at least 1")


def _check_number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name}={value!r} must be a number")
    return float(value)


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(
            f"{name}={value!r} is unknown{_nearest(str(value), choices)}; "
            f"there are {', '.join(choices)}"
        )


def _divisors_near(n: int, wanted: int, how_many: int = 4) -> str:
    divisors = [d for d in range(1, n + 1) if n % d == 0]
    nearest = sorted(sorted(divisors, key=lambda d: abs(d - wanted))[:how_many])
    return ", ".join(str(d) for d in nearest)


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""
