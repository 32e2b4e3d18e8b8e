"""The one page that links layers and tape: every layer's pair, as an op under its name.

    from npgpt import ops
    y = ops.layernorm(x, weight, bias, eps=1e-5)      # arrays in, array out
    y = ops.layernorm(tape.watch(x), weight, bias)    # a Var in: a Var out, and an entry
"""

from __future__ import annotations

from .layers import attention as _attention
from .layers import attention_entropy as _attention_entropy
from .layers import cross_entropy as _cross_entropy
from .layers import dropout as _dropout
from .layers import embedding as _embedding
from .layers import feed_forward as _feed_forward
from .layers import gelu as _gelu
from .layers import identity as _identity
from .layers import layernorm as _layernorm
from .layers import linear as _linear
from .layers import pad_zeros as _pad_zeros
from .layers import relu as _relu
from .layers import residual as _residual
from .layers import silu as _silu
from .layers import softmax as _softmax
from .layers import weight_norm as _weight_norm
from .tape import Op

softmax = Op("softmax", _softmax.softmax_forward, _softmax.softmax_backward)
gelu = Op("gelu", _gelu.gelu_forward, _gelu.gelu_backward)
gelu_exact = Op("gelu_exact", _gelu.gelu_exact_forward, _gelu.gelu_exact_backward)
relu = Op("relu", _relu.relu_forward, _relu.relu_backward)
leaky_relu = Op("leaky_relu", _relu.leaky_relu_forward, _relu.leaky_relu_backward)
silu = Op("silu", _silu.silu_forward, _silu.silu_backward)
identity = Op("identity", _identity.identity_forward, _identity.identity_backward)
layernorm = Op("layernorm", _layernorm.layernorm_forward, _layernorm.layernorm_backward)
linear = Op("linear", _linear.linear_forward, _linear.linear_backward)
weight_norm = Op(
    "weight_norm", _weight_norm.weight_norm_forward, _weight_norm.weight_norm_backward
)
pad_zeros = Op("pad_zeros", _pad_zeros.pad_zeros_forward, _pad_zeros.pad_zeros_backward)
residual = Op("residual", _residual.residual_forward, _residual.residual_backward)
dropout = Op("dropout", _dropout.dropout_forward, _dropout.dropout_backward)
token_embedding = Op(
    "token_embedding", _embedding.token_embedding_forward, _embedding.token_embedding_backward
)
position_embedding = Op(
    "position_embedding",
    _embedding.position_embedding_forward,
    _embedding.position_embedding_backward,
)
unembedding = Op("unembedding", _embedding.unembedding_forward, _embedding.unembedding_backward)
causal_attention = Op(
    "causal_attention", _attention.causal_attention_forward, _attention.causal_attention_backward
)
multi_head_attention = Op(
    "multi_head_attention",
    _attention.multi_head_attention_forward,
    _attention.multi_head_attention_backward,
)
attention_entropy = Op(
    "attention_entropy",
    _attention_entropy.attention_entropy_forward,
    _attention_entropy.attention_entropy_backward,
)
entropy_penalty = Op(
    "entropy_penalty",
    _attention_entropy.entropy_penalty_forward,
    _attention_entropy.entropy_penalty_backward,
)
cross_entropy = Op(
    "cross_entropy", _cross_entropy.cross_entropy_forward, _cross_entropy.cross_entropy_backward
)
linear_cross_entropy = Op(
    "linear_cross_entropy",
    _cross_entropy.linear_cross_entropy_forward,
    _cross_entropy.linear_cross_entropy_backward,
)
feed_forward = Op(
    "feed_forward", _feed_forward.feed_forward_forward, _feed_forward.feed_forward_backward
)
swiglu = Op("swiglu", _feed_forward.swiglu_forward, _feed_forward.swiglu_backward)

ALL: dict[str, Op] = {name: op for name, op in globals().items() if isinstance(op, Op)}
