"""The one page that links layers and tape: every layer's pair, as an op under its name.

    from npgpt.ops import TEXTBOOK as ops
    y = ops.layernorm(x, weight, bias, eps=1e-5)      # arrays in, array out
    y = ops.layernorm(tape.watch(x), weight, bias)    # a Var in: a Var out, and an entry

A model is handed its ops. With one of your own in place of the textbook's, it computes and trains
with yours:

    mine = replace(TEXTBOOK, layernorm=Op("layernorm", my_forward, my_backward))
    model = GPT2(config, params, ops=mine)
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Callable

from .layers import (
    attention,
    attention_entropy,
    cross_entropy,
    dropout,
    embedding,
    feed_forward,
    gelu,
    identity,
    layernorm,
    linear,
    low_rank,
    pad_zeros,
    relu,
    residual,
    scale_queries,
    silu,
    softmax,
    weight_norm,
)
from .tape import Array, Cache, Gradient, Op


@dataclass(frozen=True)
class Ops:
    """One op for each layer; `dataclasses.replace` gives a set with some of them exchanged."""

    softmax: Op
    gelu: Op
    gelu_exact: Op
    relu: Op
    leaky_relu: Op
    silu: Op
    identity: Op
    layernorm: Op
    linear: Op
    weight_norm: Op
    low_rank_update: Op
    low_rank: Op
    pad_zeros: Op
    residual: Op
    dropout: Op
    token_embedding: Op
    position_embedding: Op
    unembedding: Op
    scale_queries: Op
    causal_attention: Op
    multi_head_attention: Op
    attention_entropy: Op
    entropy_penalty: Op
    cross_entropy: Op
    linear_cross_entropy: Op
    feed_forward: Op
    swiglu: Op

    def named(self) -> dict[str, Op]:
        """Every op under its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def activation(self, name: str) -> Op:
        """An activation by Hugging Face's name for it."""
        ours = {"gelu_new": "gelu", "gelu": "gelu_exact"}.get(name, name)
        op: Op = getattr(self, ours)
        return op


def op(
    forward: Callable[..., tuple[Array, Cache]],
    backward: Callable[..., tuple[Gradient | None, ...]],
    fresh: bool = True,
    inference: Callable[..., Array] | None = None,
    frozen: Op | None = None,
) -> Op:
    """An op named by its pair; not `fresh` are those whose backward hands on what it was given."""
    return Op(forward.__name__.removesuffix("_forward"), forward, backward, fresh, inference,
              frozen)


TEXTBOOK = Ops(
    softmax=op(softmax.softmax_forward, softmax.softmax_backward),
    gelu=op(gelu.gelu_forward, gelu.gelu_backward),
    gelu_exact=op(gelu.gelu_exact_forward, gelu.gelu_exact_backward),
    relu=op(relu.relu_forward, relu.relu_backward),
    leaky_relu=op(relu.leaky_relu_forward, relu.leaky_relu_backward),
    silu=op(silu.silu_forward, silu.silu_backward),
    identity=op(identity.identity_forward, identity.identity_backward, fresh=False),
    layernorm=op(layernorm.layernorm_forward, layernorm.layernorm_backward),
    linear=op(linear.linear_forward, linear.linear_backward),
    weight_norm=op(weight_norm.weight_norm_forward, weight_norm.weight_norm_backward),
    low_rank_update=op(low_rank.low_rank_update_forward, low_rank.low_rank_update_backward,
                       fresh=False),
    low_rank=op(low_rank.low_rank_forward, low_rank.low_rank_backward),
    pad_zeros=op(pad_zeros.pad_zeros_forward, pad_zeros.pad_zeros_backward),
    residual=op(residual.residual_forward, residual.residual_backward, fresh=False),
    dropout=op(dropout.dropout_forward, dropout.dropout_backward, fresh=False),
    token_embedding=op(embedding.token_embedding_forward, embedding.token_embedding_backward),
    position_embedding=op(embedding.position_embedding_forward,
                          embedding.position_embedding_backward, fresh=False),
    unembedding=op(embedding.unembedding_forward, embedding.unembedding_backward),
    scale_queries=op(scale_queries.scale_queries_forward, scale_queries.scale_queries_backward),
    causal_attention=op(attention.causal_attention_forward, attention.causal_attention_backward),
    multi_head_attention=op(attention.multi_head_attention_forward,
                            attention.multi_head_attention_backward),
    attention_entropy=op(attention_entropy.attention_entropy_forward,
                         attention_entropy.attention_entropy_backward),
    entropy_penalty=op(attention_entropy.entropy_penalty_forward,
                       attention_entropy.entropy_penalty_backward),
    cross_entropy=op(cross_entropy.cross_entropy_forward, cross_entropy.cross_entropy_backward),
    linear_cross_entropy=op(cross_entropy.linear_cross_entropy_forward,
                            cross_entropy.linear_cross_entropy_backward),
    feed_forward=op(feed_forward.feed_forward_forward, feed_forward.feed_forward_backward),
    swiglu=op(feed_forward.swiglu_forward, feed_forward.swiglu_backward),
)
