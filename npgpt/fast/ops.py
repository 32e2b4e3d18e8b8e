"""The fast ops: the textbook's set with every op exchanged that is measurably quicker.

    from npgpt import model
    from npgpt.fast.ops import FAST
    loss = model.loss(params, ids, targets, config, ops=FAST)

An op that is not quicker than its textbook's is the textbook's; `python -m benchmarks` measures.
"""

from __future__ import annotations

from dataclasses import replace

from ..layers.embedding import position_embedding_forward, token_embedding_forward
from ..layers.residual import residual_backward
from ..ops import TEXTBOOK
from ..tape import Op
from . import (
    activations,
    attention,
    attention_entropy,
    cross_entropy,
    feed_forward,
    layernorm,
    pointwise,
    products,
)

FAST = replace(
    TEXTBOOK,
    softmax=Op("softmax", pointwise.softmax_forward, pointwise.softmax_backward, fresh=True),
    gelu=Op("gelu", activations.gelu_forward, activations.gelu_backward, fresh=True),
    gelu_exact=Op("gelu_exact", activations.gelu_exact_forward,
                  activations.gelu_exact_backward, fresh=True),
    relu=Op("relu", activations.relu_forward, activations.relu_backward, fresh=True),
    leaky_relu=Op("leaky_relu", activations.leaky_relu_forward,
                  activations.leaky_relu_backward, fresh=True),
    silu=Op("silu", activations.silu_forward, activations.silu_backward, fresh=True),
    layernorm=Op("layernorm", layernorm.layernorm_forward,
                 layernorm.layernorm_backward, fresh=True),
    linear=Op("linear", products.linear_forward, products.linear_backward, fresh=True),
    residual=Op("residual", pointwise.residual_forward, residual_backward),
    dropout=Op("dropout", pointwise.dropout_forward, pointwise.dropout_backward),
    token_embedding=Op("token_embedding", token_embedding_forward,
                       pointwise.token_embedding_backward),
    position_embedding=Op("position_embedding", position_embedding_forward,
                          pointwise.position_embedding_backward),
    unembedding=Op("unembedding", products.unembedding_forward,
                   products.unembedding_backward, fresh=True),
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
                            inference=cross_entropy.linear_cross_entropy_alone),
    feed_forward=Op("feed_forward", feed_forward.feed_forward_forward,
                    feed_forward.feed_forward_backward, fresh=True,
                    inference=feed_forward.feed_forward_alone),
    swiglu=Op("swiglu", feed_forward.swiglu_forward, feed_forward.swiglu_backward, fresh=True),
)
