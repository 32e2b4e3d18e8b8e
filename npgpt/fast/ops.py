"""The fast ops, under the names and signatures of `npgpt.ops`; hand this module as `ops=`.

    from npgpt import model
    from npgpt.fast import ops
    loss = model.loss(params, ids, targets, config, ops=ops)
"""

from __future__ import annotations

from typing import Any, Callable

from ..layers.contract import Array
from ..layers.embedding import position_embedding_forward, token_embedding_forward
from ..layers.residual import residual_backward
from ..tape import Op, Var
from . import activations, attention
from . import attention_entropy as _entropy
from . import cross_entropy as _cross_entropy
from . import feed_forward as _feed_forward
from . import layernorm as _layernorm
from . import pointwise, products, variants


class _LeanOp(Op):
    """An op that does less with plain arrays: there is no way back, so nothing is kept for one."""

    def __init__(
        self, name: str, forward: Callable[..., Any], backward: Callable[..., Any],
        alone: Callable[..., Array],
    ) -> None:
        super().__init__(name, forward, backward)
        self.alone = alone

    def __call__(self, *inputs: Any, **settings: Any) -> Any:
        if any(isinstance(i, Var) for i in inputs):
            return super().__call__(*inputs, **settings)
        return self.alone(*inputs, **settings)


softmax = Op("softmax", pointwise.softmax_forward, pointwise.softmax_backward)
gelu = Op("gelu", activations.gelu_forward, activations.gelu_backward)
gelu_exact = Op("gelu_exact", activations.gelu_exact_forward, activations.gelu_exact_backward)
relu = Op("relu", activations.relu_forward, activations.relu_backward)
leaky_relu = Op("leaky_relu", activations.leaky_relu_forward, activations.leaky_relu_backward)
silu = Op("silu", activations.silu_forward, activations.silu_backward)
identity = Op("identity", activations.identity_forward, activations.identity_backward)
layernorm = Op("layernorm", _layernorm.layernorm_forward, _layernorm.layernorm_backward)
linear = Op("linear", products.linear_forward, products.linear_backward)
weight_norm = Op("weight_norm", variants.weight_norm_forward, variants.weight_norm_backward)
pad_zeros = Op("pad_zeros", variants.pad_zeros_forward, variants.pad_zeros_backward)
residual = Op("residual", pointwise.residual_forward, residual_backward)
dropout = Op("dropout", pointwise.dropout_forward, pointwise.dropout_backward)
token_embedding = Op(
    "token_embedding", token_embedding_forward, pointwise.token_embedding_backward
)
position_embedding = Op(
    "position_embedding",
    position_embedding_forward,
    pointwise.position_embedding_backward,
)
unembedding = Op("unembedding", products.unembedding_forward, products.unembedding_backward)
causal_attention = Op(
    "causal_attention", attention.causal_attention_forward, attention.causal_attention_backward
)
multi_head_attention = Op(
    "multi_head_attention",
    attention.multi_head_attention_forward,
    attention.multi_head_attention_backward,
)
attention_entropy = Op(
    "attention_entropy", _entropy.attention_entropy_forward, _entropy.attention_entropy_backward
)
entropy_penalty = Op(
    "entropy_penalty", variants.entropy_penalty_forward, variants.entropy_penalty_backward
)
cross_entropy = Op(
    "cross_entropy", _cross_entropy.cross_entropy_forward, _cross_entropy.cross_entropy_backward
)
linear_cross_entropy = _LeanOp(
    "linear_cross_entropy",
    _cross_entropy.linear_cross_entropy_forward,
    _cross_entropy.linear_cross_entropy_backward,
    _cross_entropy.linear_cross_entropy_alone,
)
feed_forward = _LeanOp(
    "feed_forward",
    _feed_forward.feed_forward_forward,
    _feed_forward.feed_forward_backward,
    _feed_forward.feed_forward_alone,
)
swiglu = Op("swiglu", _feed_forward.swiglu_forward, _feed_forward.swiglu_backward)

ALL: dict[str, Op] = {name: op for name, op in globals().items() if isinstance(op, Op)}
