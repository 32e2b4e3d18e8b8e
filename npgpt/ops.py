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
    pad_zeros,
    relu,
    residual,
    silu,
    softmax,
    weight_norm,
)
from .tape import Op


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
    pad_zeros: Op
    residual: Op
    dropout: Op
    token_embedding: Op
    position_embedding: Op
    unembedding: Op
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


# fresh: all that backward gives is its own. The others may hand on the array that they were given
TEXTBOOK = Ops(
    softmax=Op("softmax", softmax.softmax_forward, softmax.softmax_backward, fresh=True),
    gelu=Op("gelu", gelu.gelu_forward, gelu.gelu_backward, fresh=True),
    gelu_exact=Op("gelu_exact", gelu.gelu_exact_forward, gelu.gelu_exact_backward, fresh=True),
    relu=Op("relu", relu.relu_forward, relu.relu_backward, fresh=True),
    leaky_relu=Op("leaky_relu", relu.leaky_relu_forward, relu.leaky_relu_backward, fresh=True),
    silu=Op("silu", silu.silu_forward, silu.silu_backward, fresh=True),
    identity=Op("identity", identity.identity_forward, identity.identity_backward),
    layernorm=Op("layernorm", layernorm.layernorm_forward,
                 layernorm.layernorm_backward, fresh=True),
    linear=Op("linear", linear.linear_forward, linear.linear_backward, fresh=True),
    weight_norm=Op("weight_norm", weight_norm.weight_norm_forward,
                   weight_norm.weight_norm_backward, fresh=True),
    pad_zeros=Op("pad_zeros", pad_zeros.pad_zeros_forward,
                 pad_zeros.pad_zeros_backward, fresh=True),
    residual=Op("residual", residual.residual_forward, residual.residual_backward),
    dropout=Op("dropout", dropout.dropout_forward, dropout.dropout_backward),
    token_embedding=Op("token_embedding", embedding.token_embedding_forward,
                       embedding.token_embedding_backward, fresh=True),
    position_embedding=Op("position_embedding", embedding.position_embedding_forward,
                          embedding.position_embedding_backward),
    unembedding=Op("unembedding", embedding.unembedding_forward,
                   embedding.unembedding_backward, fresh=True),
    causal_attention=Op("causal_attention", attention.causal_attention_forward,
                        attention.causal_attention_backward, fresh=True),
    multi_head_attention=Op("multi_head_attention", attention.multi_head_attention_forward,
                            attention.multi_head_attention_backward, fresh=True),
    attention_entropy=Op("attention_entropy", attention_entropy.attention_entropy_forward,
                         attention_entropy.attention_entropy_backward, fresh=True),
    entropy_penalty=Op("entropy_penalty", attention_entropy.entropy_penalty_forward,
                       attention_entropy.entropy_penalty_backward, fresh=True),
    cross_entropy=Op("cross_entropy", cross_entropy.cross_entropy_forward,
                     cross_entropy.cross_entropy_backward, fresh=True),
    linear_cross_entropy=Op("linear_cross_entropy", cross_entropy.linear_cross_entropy_forward,
                            cross_entropy.linear_cross_entropy_backward, fresh=True),
    feed_forward=Op("feed_forward", feed_forward.feed_forward_forward,
                    feed_forward.feed_forward_backward, fresh=True),
    swiglu=Op("swiglu", feed_forward.swiglu_forward, feed_forward.swiglu_backward, fresh=True),
)
