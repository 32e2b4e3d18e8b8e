"""Small models whose every part matters: weights of unit effect, not the 0.02 of initialisation."""

import numpy as np

from npgpt.config import GPT2Config
from npgpt.params import parameter_shapes

SMALL = GPT2Config(vocab_size=29, n_positions=12, n_embd=12, n_layer=2, n_head=3)

VARIANTS = {
    "gpt2": SMALL,
    "no norm": SMALL.replace(norm="none"),
    "no norm at all": SMALL.replace(norm="none", final_norm=False),
    "swiglu": SMALL.replace(activation_function="swiglu", n_inner=7),
    "untied": SMALL.replace(tie_word_embeddings=False),
    "no qkv bias": SMALL.replace(qkv_bias=False),
    "leaky relu": SMALL.replace(activation_function="leaky_relu"),
    "one head, one layer": SMALL.replace(n_head=1, n_layer=1),
}


def lively(config=SMALL, seed=0, dtype=np.float64):
    """Parameters that make the next token depend clearly on all tokens before it."""
    rng = np.random.default_rng(seed)
    params = {}
    for name, shape in parameter_shapes(config).items():
        spread = 1.0 if name.startswith(("wte", "lm_head")) else shape[0] ** -0.5
        if ".attn." in name:
            # attention that looks at few tokens, and counts
            spread *= 3.0
        params[name] = (rng.standard_normal(shape) * spread).astype(dtype)
    return params
