"""Inputs of wrong shapes, for every op that takes several, and a part of the error they raise."""

import numpy as np

N = np.ones
IDS = np.zeros((2, 3), int)

WRONG_SHAPES = [
    ("layernorm", (N((2, 3, 8)), N(7), N(8)), {}, "weight (C,) and bias (C,); got x (2, 3, 8), "
                                                  "weight (7,), bias (8,)"),
    ("layernorm", (N((2, 3, 8)), N(8), N(1)), {}, "bias (1,)"),
    ("linear", (N((2, 3, 8)), N((7, 4)), N(4)), {}, "x (2, 3, 8), weight (7, 4), bias (4,)"),
    ("linear", (N((2, 3, 8)), N((8, 4)), N(1)), {}, "bias (1,)"),
    ("linear", (N((2, 3, 8)), N(8), None), {}, "weight (8,), bias None"),
    ("linear", (N((2, 3, 8)), N((2, 8, 4)), None), {}, "weight (2, 8, 4)"),
    ("weight_norm", (N((8, 4)), N(1)), {}, "v (8, 4), gain (1,)"),
    ("weight_norm", (N(4), N(4)), {}, "v (4,), gain (4,)"),
    ("weight_norm", (N((2, 8, 4)), N((8, 4))), {}, "v (2, 8, 4), gain (8, 4)"),
    ("low_rank_update", (N((8, 4)), N((8, 2)), N((3, 4))), {}, "a (8, 2), b (3, 4)"),
    ("low_rank_update", (N((8, 1)), N((8, 2)), N((2, 4))), {}, "weight (8, 1)"),
    ("low_rank", (N((2, 3, 8)), N((7, 2)), N((2, 4))), {}, "x (2, 3, 8), a (7, 2)"),
    ("low_rank", (N((2, 3, 8)), N((8, 1)), N((2, 4))), {}, "a (8, 1), b (2, 4)"),
    ("token_embedding", (IDS, N(7)), {}, "weight (V, C); got weight (7,)"),
    ("position_embedding", (N((2, 3, 8)), N((9, 7)), IDS[0]), {}, "x (2, 3, 8), weight (9, 7)"),
    ("position_embedding", (N((2, 3, 8)), N((9, 8)), IDS[0, :1]), {}, "positions (1,)"),
    ("unembedding", (N((2, 3, 8)), N((7, 9))), {}, "x (2, 3, 8), weight (7, 9)"),
    ("linear_cross_entropy", (N((2, 3, 8)), N((7, 9)), IDS), {}, "x (2, 3, 8), weight (7, 9)"),
    ("causal_attention", (N((2, 4, 3, 2)), N((2, 4, 3, 5)), N((2, 4, 3, 2))), {}, "k (2, 4, 3, 5)"),
    ("causal_attention", (N((2, 4, 3, 2)), N((2, 4, 3, 2)), N((2, 4, 5, 2))), {}, "v (2, 4, 5, 2)"),
    ("causal_attention", (N((2, 4, 3, 2)), N((4, 3, 2)), N((4, 3, 2))), {}, "alike before that"),
    ("causal_attention", (N(2), N(2), N(2)), {}, "q (2,)"),
    ("causal_attention", (N(2), N((3, 2)), N((3, 2))), {}, "q (2,)"),
    ("multi_head_attention", (N((3, 24)),), {"n_head": 4}, "qkv (B, T, 3C); got qkv (3, 24)"),
    ("attention_entropy", (N((3, 24)),), {"n_head": 4}, "qkv (B, T, 3C); got qkv (3, 24)"),
    ("entropy_penalty", (N(4), N(1)), {"weight": 1.0, "tolerance": 0.1, "bound": 1.0},
     "entropy (4,), target (1,)"),
    ("leaky_relu", (N((2, 3)), N(3)), {}, "x (2, 3), slope (3,)"),
    ("feed_forward", (N((2, 3, 8)), N((8, 12)), None, N((8, 12)), None), {}, "weight (8, 12)"),
    ("feed_forward", (N((2, 3, 8)), N((8, 12)), None, N((12, 8)), None, N(1)), {},
     "got 1 for gelu_new"),
    ("swiglu", (N((2, 3, 8)), N((8, 1)), None, N((8, 12)), None, N((12, 8)), None), {},
     "gate_weight (8, 1), fc_weight (8, 12)"),
    ("feed_forward", (N((2, 3, 8)), N((8, 12)), None, N((12, 8)), None, N(2)),
     {"activation": "leaky_relu"}, "slope (2,)"),
    ("swiglu", (N((2, 3, 8)), N((8, 12)), None, N((8, 12)), N(1), N((12, 8)), None), {},
     "bias (1,)"),
    ("swiglu", (N((2, 3, 8)), N((8, 12)), None, N((8, 12)), None, N((11, 8)), None), {},
     "weight (11, 8)"),
]
