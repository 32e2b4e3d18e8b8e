"""Demonstrations of the architecture: each computes a few numbers, and shows them.

    from npgpt.demos.gelu import gelu_demo, gelu_picture, gelu_text
    shown = gelu_demo()                     # the numbers, in a small dataclass
    print(gelu_text(shown))                 # tables and a picture for a terminal of 80 columns
    gelu_picture(shown).savefig("gelu.png") # a matplotlib Figure; needs npgpt[plot]

One file a demonstration, and in each the same three functions: NAME_demo(**settings) -> numbers,
NAME_text(numbers, colour=False) -> str, NAME_picture(numbers) -> Figure.
"""

from __future__ import annotations

from typing import Callable

OnStep = Callable[[int, int], object]
"""Called with how many steps are done, and of how many: for a bar."""
DEMOS = {
    "bpe": "how text becomes tokens, merge by merge",
    "embedding": "a row for each token, and how gradients are added to those rows",
    "attention": "scores, scale, mask, softmax, mixing, heads, on a sentence",
    "layernorm": "a batch before and after LayerNorm: mean 0, variance 1",
    "gelu": "GELU in both forms, ReLU and SiLU, with their derivatives",
    "shortcut": "how gradients shrink in a deep network without residual connections",
    "softmax": "from logits to probabilities to cross-entropy, and its gradient",
    "backward": "one small tape, played: every value and every gradient",
    "adamw": "its path through a valley, with and without bias correction",
    "generate": "from logits to probabilities to tokens, untrained and trained",
    "shapes": "an input's way through the model: shapes, FLOPs, memory",
    "sizes": "parameters and memory of the four GPT-2 sizes",
}
"""Every demonstration's name, with one line of help; in the order of
a text's way through the model and back."""
