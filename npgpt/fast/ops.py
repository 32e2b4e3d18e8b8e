"""The fast ops: the textbook's set with every op exchanged that is measurably quicker.

    from npgpt import model
    from npgpt.fast.ops import FAST
    loss = model.loss(params, ids, targets, config, ops=FAST)

What is not exchanged is the textbook's: identity, residual, weight_norm, both ops of low-rank
updates, pad_zeros, scale_queries, entropy_penalty and both look-ups. Where the weights are frozen,
`Op.frozen` is a variant that saves and computes nothing for them. `python -m benchmarks` measures.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace

from ..config import GPT2Config
from ..layers.embedding import position_embedding_forward, token_embedding_forward
from ..machine.threads import blas_for, one_blas_thread
from ..ops import TEXTBOOK, Ops, op
from ..params import matrix_weights
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

FAST = replace(
    TEXTBOOK,
    softmax=op(softmax.softmax_forward, softmax.softmax_backward),
    gelu=op(gelu.gelu_forward, gelu.gelu_backward),
    gelu_exact=op(gelu.gelu_exact_forward, gelu.gelu_exact_backward),
    relu=op(relu.relu_forward, relu.relu_backward),
    leaky_relu=op(relu.leaky_relu_forward, relu.leaky_relu_backward),
    silu=op(silu.silu_forward, silu.silu_backward),
    layernorm=op(layernorm.layernorm_forward, layernorm.layernorm_backward),
    linear=op(linear.linear_forward, linear.linear_backward,
              frozen=op(linear.frozen_linear_forward, linear.frozen_linear_backward)),
    dropout=op(dropout.dropout_forward, dropout.dropout_backward, fresh=False),
    token_embedding=op(token_embedding_forward, embedding.token_embedding_backward, fresh=False),
    position_embedding=op(position_embedding_forward, embedding.position_embedding_backward,
                          fresh=False),
    unembedding=op(embedding.unembedding_forward, embedding.unembedding_backward),
    causal_attention=op(attention.causal_attention_forward, attention.causal_attention_backward),
    multi_head_attention=op(attention.multi_head_attention_forward,
                            attention.multi_head_attention_backward),
    attention_entropy=op(attention_entropy.attention_entropy_forward,
                         attention_entropy.attention_entropy_backward),
    cross_entropy=op(cross_entropy.cross_entropy_forward, cross_entropy.cross_entropy_backward),
    linear_cross_entropy=op(cross_entropy.linear_cross_entropy_forward,
                            cross_entropy.linear_cross_entropy_backward,
                            inference=cross_entropy.linear_cross_entropy_inference,
                            frozen=op(cross_entropy.frozen_linear_cross_entropy_forward,
                                      cross_entropy.frozen_linear_cross_entropy_backward)),
    feed_forward=op(feed_forward.feed_forward_forward, feed_forward.feed_forward_backward,
                    inference=feed_forward.feed_forward_inference,
                    frozen=op(feed_forward.frozen_feed_forward_forward,
                              feed_forward.frozen_feed_forward_backward)),
    swiglu=op(feed_forward.swiglu_forward, feed_forward.swiglu_backward),
)


def blas_of(ops: Ops, config: GPT2Config, positions: int) -> AbstractContextManager[None]:
    """The BLAS threads of a model's pass over so many positions, by ops that are fast or not.

    The fast ops cut their work over our threads; others leave it to BLAS's, where they pay.
    """
    if ops == FAST:
        return one_blas_thread()
    return blas_for(matrix_weights(config) * positions)
