"""Demonstrations of the architecture: each computes a few numbers, and shows them.

    from npgpt.demos.gelu import gelu_demo, gelu_picture, gelu_text
    shown = gelu_demo()                     # the numbers, in a small dataclass
    print(gelu_text(shown))                 # tables and a picture for a terminal of 80 columns
    gelu_picture(shown).savefig("gelu.png") # a matplotlib Figure; needs npgpt[plot]

One file a demonstration, and in each the same three functions: NAME_demo(**settings) -> numbers,
NAME_text(numbers, colour=False) -> str, NAME_picture(numbers) -> Figure.
"""

from __future__ import annotations

DEMOS = {
    "gelu": "GELU in both forms, ReLU and SiLU, with their derivatives",
    "layernorm": "a batch before and after LayerNorm: mean 0, variance 1",
    "shortcut": "how gradients shrink in a deep network without residual connections",
    "sizes": "parameters and memory of the four GPT-2 sizes",
    "shapes": "an input's way through the model: shapes, FLOPs, memory",
    "generate": "from logits to probabilities to tokens, untrained and trained",
}
"""Every demonstration's name, with one line of help."""
