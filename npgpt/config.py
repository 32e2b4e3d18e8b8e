"""GPT2Config: the shape of a model, with Hugging Face's field names and a few of our own."""

from __future__ import annotations

import math
import re
from dataclasses import Field, dataclass, field, fields
from typing import Any, Mapping

from .checked import checked
from .ids import check_integer, check_number, unwrap_numpy
from .suggest import did_you_mean, shown, unknown

ACTIVATIONS = ("gelu_new", "gelu", "relu", "leaky_relu", "silu", "swiglu", "identity")
NORMS = ("layernorm", "none")
SLOPES = ("layer", "shared", "fixed")
_PREFIX = "entropy_"    # of EntropyPenalty's fields, where they stand flat in files and flags

# the four published sizes: layers, heads, channels
SIZES: dict[str, dict[str, int]] = {
    "gpt2": {"n_layer": 12, "n_head": 12, "n_embd": 768},
    "gpt2-medium": {"n_layer": 24, "n_head": 16, "n_embd": 1024},
    "gpt2-large": {"n_layer": 36, "n_head": 20, "n_embd": 1280},
    "gpt2-xl": {"n_layer": 48, "n_head": 25, "n_embd": 1600},
}


def _option(default: object, help: str) -> Any:
    # the command line shows `help`
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class EntropyPenalty:
    """A penalty on attention whose entropy lies off its target; see layers/attention_entropy.py.

    With penalty > 0, training minimises the cross-entropy plus `penalty` times the mean over
    layers and heads of d^2, where d is by how many nats the head's entropy is further off its
    learned target than `tolerance`. Tolerance and the initial target are fractions of the greatest
    entropy, ln(T!) / T. Source: Jha, Reagen 2025, arXiv 2501.03489.
    """

    penalty: float = _option(
        0.0, "Weight in the training loss of a penalty on attention entropy off its target")
    tolerance: float = _option(
        0.2, "Distance from the target that costs nothing, as a fraction of the greatest entropy")
    target: float = _option(0.5, "Initial target of every head, likewise; it is learned")

    def __post_init__(self) -> None:
        unwrap_numpy(self)
        for name, most in (("penalty", math.inf), ("tolerance", 1.0), ("target", 1.0)):
            value = check_number(f"entropy_{name}", getattr(self, name))
            if not (0.0 <= value <= most and math.isfinite(value)):
                fits = "a number of at least 0" if most > 1 else "a fraction from 0 to 1"
                raise ValueError(f"entropy_{name}={value} must be {fits}")


@dataclass(frozen=True)
class GPT2Config:
    """The architecture of one model; the defaults are GPT-2's smallest, 124M parameters.

    Hugging Face's fields:
        vocab_size, n_positions     number of token ids, and of positions (the context)
        n_embd, n_layer, n_head     channels C, blocks, heads; n_head divides n_embd
        n_inner                     width of the feed-forward network; None is 4 * n_embd
        activation_function         gelu_new (tanh form), gelu (exact), relu, leaky_relu, silu,
                                    swiglu, identity (none)
        layer_norm_epsilon          added to the variance
        resid_pdrop, embd_pdrop, attn_pdrop     dropout probabilities, used in training only
        initializer_range           standard deviation of the initial weights
        tie_word_embeddings         the token table is also the output matrix
        scale_attn_weights          False leaves attention scores without 1 / sqrt(D)
        scale_attn_by_inverse_layer_idx     layer i divides them by i + 1
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
                                    each output: v is saved as `.weight`, gain as `.gain`
        lora_rank                   r > 0 adds scale * lora_A (I, r) @ lora_B (r, O) to a block's
                                    linear weights (I, O); lora_B starts at zero
        residual                    False removes the residual connections: a block's attention and
                                    feed-forward network replace what they are given
        lora_alpha                  scale is lora_alpha / r; 0 stands for r, a scale of 1
        lora_on                     which of them: the ends of their names, separated by commas;
                                    "" is all
        n_labels                    a classifier: score.weight (n_labels, C) scores classes from the
                                    last token, in place of the next token's; 0 for none
        entropy                     an EntropyPenalty; in files and flags its fields are flat:
                                    entropy_penalty, entropy_tolerance, entropy_target

    With norm="none", LayerNorm remains after the last block unless final_norm is False too.
    Raises ValueError, naming the field, what was given and what would fit.
    """

    vocab_size: int = 50257
    n_positions: int = _option(1024, "The context, in tokens")
    n_embd: int = _option(768, "Channels")
    n_layer: int = _option(12, "Blocks")
    n_head: int = _option(12, "Attention heads; must divide n_embd")
    n_inner: int | None = _option(
        None, "Width of the feed-forward network (default 4 * n_embd)")
    activation_function: str = _option("gelu_new", ", ".join(ACTIVATIONS))
    layer_norm_epsilon: float = _option(1e-5, "Added to the variance")
    resid_pdrop: float = _option(0.1, "Dropout on what blocks add to the residual stream")
    embd_pdrop: float = _option(0.1, "Dropout on the embeddings")
    attn_pdrop: float = _option(0.1, "Dropout on the attention weights")
    initializer_range: float = _option(0.02, "Standard deviation of the initial weights")
    tie_word_embeddings: bool = _option(True, "Use the token table as the output matrix too")
    scale_attn_weights: bool = _option(True, "Divide attention scores by sqrt(head size)")
    scale_attn_by_inverse_layer_idx: bool = _option(
        False, "Divide them by the layer's number too, counted from 1")
    norm: str = _option("layernorm", "layernorm, or none for blocks without it")
    final_norm: bool = _option(True, "A LayerNorm after the last block")
    qkv_bias: bool = _option(True, "Biases on queries, keys and values")
    scale_residual_init: bool = _option(
        True, "Scale the initial c_proj weights by 1 / sqrt(2 * n_layer)")
    leaky_slope: str = _option(
        "layer", "Slope of leaky_relu; layer: learned per layer; shared: learned, one for all "
                 "layers; fixed: not learned")
    slope_init: float = _option(0.01, "Initial value of the slope")
    slope_decay: bool = _option(False, "Weight decay on learned slopes too")
    frozen_biases: bool = _option(
        False, "Train biases of queries and keys only: the others stay zero")
    weight_norm: bool = _option(False, "Blocks' linear weights as gain * v / |v|")
    lora_rank: int = _option(
        0, "Rank of an update A @ B of a block's linear weights; 0 for none")
    lora_alpha: float = _option(
        0.0, "The update is multiplied by lora_alpha / lora_rank; 0: by 1; preset lora: 16")
    lora_on: str = _option(
        "", "Which weights have one, separated by commas, such as c_attn,mlp.c_proj; none: all")
    n_labels: int = _option(
        0, "Classes that a classifier's head scores, in place of tokens; 0 for none")
    residual: bool = _option(True, "Residual connections in the blocks")
    entropy: EntropyPenalty = EntropyPenalty()

    def __post_init__(self) -> None:
        unwrap_numpy(self)
        for name in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head"):
            check_integer(name, getattr(self, name), 1)
        check_integer("lora_rank", self.lora_rank, 0)
        check_integer("n_labels", self.n_labels, 0)
        if not 0.0 <= check_number("lora_alpha", self.lora_alpha) < math.inf:
            raise ValueError(f"lora_alpha={self.lora_alpha} must be finite and at least 0")
        if self.n_inner is not None:
            check_integer("n_inner", self.n_inner, 1)
        if self.n_embd % self.n_head:
            raise ValueError(f"n_head={self.n_head} does not divide n_embd={self.n_embd}; "
                             f"try {_divisors_near(self.n_embd, self.n_head)}")
        _check_choice("activation_function", self.activation_function, ACTIVATIONS)
        _check_choice("norm", self.norm, NORMS)
        _check_choice("leaky_slope", self.leaky_slope, SLOPES)
        for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
            rate = check_number(name, getattr(self, name))
            if not 0.0 <= rate < 1.0:
                raise ValueError(f"{name}={rate} is outside [0, 1); 0 drops nothing")
        for name in ("layer_norm_epsilon", "initializer_range"):
            if not 0.0 < check_number(name, getattr(self, name)) < float("inf"):
                raise ValueError(f"{name}={getattr(self, name)} must be a positive number")
        if not math.isfinite(check_number("slope_init", self.slope_init)):
            raise ValueError(f"slope_init={self.slope_init} must be a finite number")
        for option in fields(self):
            if isinstance(option.default, bool) and not isinstance(
                    getattr(self, option.name), bool):
                raise ValueError(
                    f"{option.name}={shown(getattr(self, option.name))} must be true or false")
        self._check_lora_on()
        if not isinstance(self.entropy, EntropyPenalty):
            raise ValueError(f"entropy={shown(self.entropy)} must be an EntropyPenalty")

    @property
    def inner(self) -> int:
        """Width of the feed-forward network: n_inner, or 4 * n_embd."""
        return 4 * self.n_embd if self.n_inner is None else self.n_inner

    @property
    def head_size(self) -> int:
        """Channels of one head, D = C / H."""
        return self.n_embd // self.n_head

    def query_scale(self, layer: int) -> float:
        """By what a layer's queries are multiplied, beside attention's own 1 / sqrt(D)."""
        own = 1.0 if self.scale_attn_weights else math.sqrt(self.head_size)
        return own / (layer + 1) if self.scale_attn_by_inverse_layer_idx else own

    @property
    def lora_scale(self) -> float:
        """What a low-rank update is multiplied by."""
        return self.lora_alpha / self.lora_rank if self.lora_alpha and self.lora_rank else 1.0

    @property
    def lora_targets(self) -> tuple[str, ...]:
        """The names in lora_on."""
        return tuple(name.strip() for name in self.lora_on.split(",") if name.strip())

    def has_lora(self, linear: str) -> bool:
        """Whether a linear weight, such as h.0.attn.c_attn, has a low-rank update."""
        targets = self.lora_targets
        return self.lora_rank > 0 and (not targets or any(
            f".{linear}".endswith(f".{target}") for target in targets))

    @property
    def block_norm(self) -> bool:
        """Whether the blocks have their two LayerNorms."""
        return self.norm == "layernorm"

    def _check_lora_on(self) -> None:
        if not isinstance(self.lora_on, str):
            raise ValueError(f"lora_on={shown(self.lora_on)} must be a string")
        gate = ["mlp.c_gate"] if self.activation_function == "swiglu" else []
        linears = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj", *gate]
        for target in self.lora_targets:
            layer = re.match(r"(?:h\.)?(\d+)\.", target)
            number = layer[1] if layer else "0"
            if len(number) > 9 or int(number) >= self.n_layer or not any(
                    f".h.{number}.{name}".endswith(f".{target}") for name in linears):
                known = sorted({name.rpartition(".")[2] for name in linears})
                raise ValueError(
                    f"lora_on: unknown name {shown(target)}{did_you_mean(target, known)}; expected "
                    f"the end of a linear weight's, such as {', '.join(known)} or attn.c_proj")

    @classmethod
    @checked
    def named(cls, name: str, **changes: object) -> GPT2Config:
        """One of the four published sizes, `gpt2` to `gpt2-xl`, with changes if any.

        Raises ValueError for an unknown name, and as `from_dict`.
        """
        if name not in SIZES:
            raise unknown("GPT-2 size", name, SIZES)
        return cls.from_dict({**SIZES[name], **changes})

    @classmethod
    def options(cls) -> dict[str, Field[object]]:
        """The dataclass field of every setting, by its name in files and flags."""
        nested = {f"{_PREFIX}{option.name}": option for option in fields(EntropyPenalty)}
        return {option.name: option for option in fields(cls) if option.name != "entropy"} | nested

    @classmethod
    @checked
    def from_dict(cls, values: Mapping[str, Any], ignore_unknown: bool = False) -> GPT2Config:
        """Build from a mapping by the names of `options`; an unknown one suggests the nearest.

        `ignore_unknown` is for a Hugging Face config.json, which holds many fields of its own.
        Raises ValueError for an unknown name and, as the constructor, for a value.
        """
        known = cls.options()
        others = [key for key in values if key not in known]
        if others and not ignore_unknown:
            raise unknown("model setting", others[0], known)
        given = {key: values[key] for key in known if key in values}
        nested = {key: given.pop(key) for key in list(given) if key.startswith(_PREFIX)}
        penalty = EntropyPenalty(**{key.removeprefix(_PREFIX): v for key, v in nested.items()})
        return cls(**given, entropy=penalty)

    def to_dict(self) -> dict[str, object]:
        """All settings by the names of `options`, as plain values."""
        return {
            name: getattr(self.entropy, option.name) if name.startswith(_PREFIX)
            else getattr(self, name)
            for name, option in self.options().items()
        }

    def replace(self, **changes: object) -> GPT2Config:
        """A copy with some fields changed. Raises ValueError as `from_dict`."""
        return self.from_dict({**self.to_dict(), **changes})


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}={shown(value)} is unknown{did_you_mean(value, choices)}; "
                         f"expected one of {', '.join(choices)}")


def _divisors_near(n: int, wanted: int, how_many: int = 4) -> str:
    # not all the way up to n, which may be a typing error of any length
    near = range(max(1, min(wanted, n) - 4096), min(wanted, n) + 4096)
    divisors = {1, *(d for d in near if n % d == 0)}
    nearest = sorted(sorted(divisors, key=lambda d: abs(d - wanted))[:how_many])
    return ", ".join(str(d) for d in nearest)
