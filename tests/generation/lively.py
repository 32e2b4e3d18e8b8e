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
    "no residual connections": SMALL.replace(residual=False),
    "no qkv bias": SMALL.replace(qkv_bias=False),
    "leaky relu": SMALL.replace(activation_function="leaky_relu"),
    "one slope": SMALL.replace(activation_function="leaky_relu", leaky_slope="shared"),
    "fixed slope": SMALL.replace(activation_function="leaky_relu", leaky_slope="fixed",
                                 slope_init=0.3),
    "identity, frozen biases": SMALL.replace(activation_function="identity", frozen_biases=True),
    "weight norm": SMALL.replace(weight_norm=True, entropy_penalty=0.1),
    "one head, one layer": SMALL.replace(n_head=1, n_layer=1),
}


# greedy text of this one is the least monotonous
LONG = SMALL.replace(n_positions=64, n_layer=3, tie_word_embeddings=False)


def lively(config=SMALL, seed=0, dtype=np.float64):
    """Parameters that make the next token depend clearly on all tokens before it.

    Even greedy text does not fall into a loop at once, as it does with small weights: a test that
    expects the right next tokens is then not passed by wrong ones.
    """
    rng = np.random.default_rng(seed)
    params = {}
    for name, shape in parameter_shapes(config).items():
        draw = rng.standard_normal(shape)
        if name.startswith(("wte", "lm_head")):
            params[name] = draw
        elif name.endswith(".gain"):
            params[name] = np.linalg.norm(params[name[:-4] + "weight"], axis=0) * (1 + 0.1 * draw)
        elif len(shape) == 1:
            # a large bias of the last norm would prefer the same token everywhere
            is_norm_weight = ".ln_" in f".{name}" and name.endswith("weight")
            params[name] = 0.1 * draw + is_norm_weight
        else:
            spread = 3.0 if name.endswith("c_proj.weight") else 1.5
            params[name] = draw * spread * shape[0] ** -0.5
    return {name: array.astype(dtype) for name, array in params.items()}
