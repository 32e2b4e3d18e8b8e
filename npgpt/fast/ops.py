"""The fast ops: the textbook's set with every op exchanged that is measurably quicker.

    from npgpt import model
    from npgpt.fast.ops import FAST
    loss = model.loss(params, ids, targets, config, ops=FAST)

What is not exchanged is the textbook's: identity, residual, weight_norm, pad_zeros, entropy_penalty
and both look-ups. `python -m benchmarks` measures.
"""

from __future__ import annotations

from dataclasses import replace

from ..layers.embedding import position_embedding_forward, token_embedding_forward
from ..ops import TEXTBOOK
from ..tape import Op
from . import (
    attention,
    attention_entropy,
    cross_entropy,
    dropout,
    embedding,
    feed_forward,
    gelu,
    layernorm,
    linear,
    relu,
    silu,
    softmax,
)

# fresh: all that backward gives is its own, as in npgpt.ops
FAST = replace(
    TEXTBOOK,
    softmax=Op("softmax", softmax.softmax_forward, softmax.softmax_backward, fresh=True),
    gelu=Op("gelu", gelu.gelu_forward, gelu.gelu_backward, fresh=True),
    gelu_exact=Op("gelu_exact", gelu.gelu_exact_forward, gelu.gelu_exact_backward, fresh=True),
    relu=Op("relu", relu.relu_forward, relu.relu_backward, fresh=True),
    leaky_relu=Op("leaky_relu", relu.leaky_relu_forward, relu.leaky_relu_backward, fresh=True),
    silu=Op("silu", silu.silu_forward, silu.silu_backward, fresh=True),
    layernorm=Op("layernorm", layernorm.layernorm_forward,
                 layernorm.layernorm_backward, fresh=True),
    linear=Op("linear", linear.linear_forward, linear.linear_backward, fresh=True),
    dropout=Op("dropout", dropout.dropout_forward, dropout.dropout_backward),
    token_embedding=Op("token_embedding", token_embedding_forward,
                       embedding.token_embedding_backward),
    position_embedding=Op("position_embedding", position_embedding_forward,
                          embedding.position_embedding_backward),
    unembedding=Op("unembedding", embedding.unembedding_forward,
                   embedding.unembedding_backward, fresh=True),
    causal_attention=Op("causal_attention", attention.causal_attention_forward,
                        attention.causal_attention_backward, fresh=True),
    multi_head_attention=Op("multi_head_attention", attention.multi_head_attention_forward,
                            attention.multi_head_attention_backward, fresh=True),
    attention_entropy=Op("attention_entropy", attention_entropy.attention_entropy_forward,
                         attention_entropy.attention_entropy_backward, fresh=True),
    cross_entropy=Op("cross_entropy", cross_entropy.cross_entropy_forward,
                     cross_entropy.cross_entropy_backward, fresh=True),
    linear_cross_entropy=Op("linear_cross_entropy", cross_entropy.linear_cross_entropy_forward,
                            cross_entropy.linear_cross_entropy_backward, fresh=True,
                            inference=cross_entropy.linear_cross_entropy_inference),
    feed_forward=Op("feed_forward", feed_forward.feed_forward_forward,
                    feed_forward.feed_forward_backward, fresh=True,
                    inference=feed_forward.feed_forward_inference),
    swiglu=Op("swiglu", feed_forward.swiglu_forward, feed_forward.swiglu_backward, fresh=True),
)
