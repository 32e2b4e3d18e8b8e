"""The position-wise feed-forward network: expand 4x, apply the activation, project back.

Plain      out = act(x @ fc_weight + fc_bias) @ proj_weight + proj_bias
SwiGLU     out = (silu(x @ gate_weight + gate_bias) * (x @ fc_weight + fc_bias))
                 @ proj_weight + proj_bias

Backward   each step's own backward, in reverse. In SwiGLU each factor gets the gradient
           times the other factor, and x is used twice, so its two gradients add.

Shapes     x, out (..., C)    fc_weight, gate_weight (C, F)    fc_bias, gate_bias (F,)
           proj_weight (F, C)    proj_bias (C,)    slope (1,), for leaky_relu only; F = 4C in GPT-2
           the three biases may be None
Saved for backward   the caches of the steps
Source     Radford et al. 2019; SwiGLU: Shazeer 2020, arXiv 2002.05202, eq. 6
"""

from __future__ import annotations

from typing import Callable, Sequence

from .contract import Array, Cache, check_shapes
from .gelu import gelu_backward, gelu_exact_backward, gelu_exact_forward, gelu_forward
from .identity import identity_backward, identity_forward
from .linear import linear_backward, linear_forward
from .relu import leaky_relu_backward, leaky_relu_forward, relu_backward, relu_forward
from .silu import silu_backward, silu_forward

Forward = Callable[..., tuple[Array, Cache]]
Backward = Callable[..., tuple[Array, ...]]

# by Hugging Face's names
ACTIVATIONS: dict[str, tuple[Forward, Backward]] = {
    "gelu_new": (gelu_forward, gelu_backward),
    "gelu": (gelu_exact_forward, gelu_exact_backward),
    "relu": (relu_forward, relu_backward),
    "silu": (silu_forward, silu_backward),
    "leaky_relu": (leaky_relu_forward, leaky_relu_backward),
    "identity": (identity_forward, identity_backward),
}


def check_activation(activation: str, slopes: Sequence[Array]) -> None:
    """Raise ValueError for an unknown activation, and unless leaky_relu alone has a slope."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}; expected one of "
                         f"{', '.join(ACTIVATIONS)}")
    if len(slopes) != (activation == "leaky_relu"):
        raise ValueError(f"leaky_relu expects one slope as last array, other activations none; "
                         f"got {len(slopes)} for {activation}")


def feed_forward_forward(
    x: Array,
    fc_weight: Array,
    fc_bias: Array | None,
    proj_weight: Array,
    proj_bias: Array | None,
    *slope: Array,
    activation: str = "gelu_new",
) -> tuple[Array, Cache]:
    """Two linear maps with an activation between; leaky_relu takes its slope (1,) as last array.

    x (..., C) gives (..., C). Raises ValueError as `check_activation` and `check_linear`.
    """
    check_activation(activation, slope)
    activation_forward = ACTIVATIONS[activation][0]
    hidden, fc_cache = linear_forward(x, fc_weight, fc_bias)                # (..., F)
    activated, activation_cache = activation_forward(hidden, *slope)        # (..., F)
    out, proj_cache = linear_forward(activated, proj_weight, proj_bias)     # (..., C)
    return out, (activation, fc_cache, activation_cache, proj_cache)


def feed_forward_backward(dout: Array, cache: Cache) -> tuple[Array | None, ...]:
    """Give (dx, dfc_weight, dfc_bias, dproj_weight, dproj_bias), and dslope for leaky_relu."""
    activation, fc_cache, activation_cache, proj_cache = cache
    activation_backward = ACTIVATIONS[activation][1]
    dactivated, dproj_weight, dproj_bias = linear_backward(dout, proj_cache)    # (..., F)
    dhidden, *dslope = activation_backward(dactivated, activation_cache)        # (..., F)
    dx, dfc_weight, dfc_bias = linear_backward(dhidden, fc_cache)               # (..., C)
    return dx, dfc_weight, dfc_bias, dproj_weight, dproj_bias, *dslope


def check_swiglu(gate_weight: Array, fc_weight: Array) -> None:
    """Raise ValueError unless the gate's map and the other have one shape."""
    check_shapes(gate_weight.shape == fc_weight.shape,
                 "swiglu expects gate_weight (C, F) and fc_weight (C, F)",
                 gate_weight=gate_weight, fc_weight=fc_weight)


def swiglu_forward(
    x: Array,
    gate_weight: Array,
    gate_bias: Array | None,
    fc_weight: Array,
    fc_bias: Array | None,
    proj_weight: Array,
    proj_bias: Array | None,
) -> tuple[Array, Cache]:
    """The feed-forward network whose activation is a SiLU gate times a second linear map.

    x (..., C) gives (..., C). Raises ValueError as `check_swiglu` and `check_linear`.
    """
    check_swiglu(gate_weight, fc_weight)
    gate_in, gate_cache = linear_forward(x, gate_weight, gate_bias)     # (..., F)
    gate, silu_cache = silu_forward(gate_in)                            # (..., F)
    up, fc_cache = linear_forward(x, fc_weight, fc_bias)                # (..., F)
    out, proj_cache = linear_forward(gate * up, proj_weight, proj_bias)         # (..., C)
    return out, (gate_cache, silu_cache, fc_cache, proj_cache, gate, up)


def swiglu_backward(dout: Array, cache: Cache) -> tuple[Array | None, ...]:
    """Give (dx, dgate_weight, dgate_bias, dfc_weight, dfc_bias, dproj_weight, dproj_bias)."""
    gate_cache, silu_cache, fc_cache, proj_cache, gate, up = cache
    dgated, dproj_weight, dproj_bias = linear_backward(dout, proj_cache)        # (..., F)
    dgate = dgated * up                                                 # (..., F)
    dup = dgated * gate                                                 # (..., F)
    (dgate_in,) = silu_backward(dgate, silu_cache)                      # (..., F)
    through_gate, dgate_weight, dgate_bias = linear_backward(dgate_in, gate_cache)
    through_fc, dfc_weight, dfc_bias = linear_backward(dup, fc_cache)
    dx = through_gate + through_fc                                      # (..., C)
    return dx, dgate_weight, dgate_bias, dfc_weight, dfc_bias, dproj_weight, dproj_bias
