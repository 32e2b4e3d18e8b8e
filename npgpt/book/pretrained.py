"""Chapter 5, section 5: OpenAI's weights in the book's model, and what it writes with them."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import numpy as np

from ..gpt2 import GPT2
from .chapter5 import PROMPT
from .figures import Figure
from .generator import TorchGenerator
from .story import decode, encode
from .writing import write

# of a table too long to print, these rows and columns are printed
ENDS = np.array([0, 1, 2, -3, -2, -1])


def figures(folder: Path) -> Iterator[Figure]:
    """Every number that the section prints, from the published gpt2 weights in `folder`."""
    model = GPT2.load(folder)
    config, table = model.config, model.params["wte.weight"]
    yield Figure("settings: vocabulary, context, channels, heads, layers", "50257 1024 768 12 12",
                 [config.vocab_size, config.n_positions, config.n_embd, config.n_head,
                  config.n_layer])
    yield Figure("token table", """
        -0.11010301 -0.03926672 0.03310751 -0.1363697 0.01506208 0.04531523
        0.04034033 -0.04861503 0.04624869 0.08605453 0.00253983 0.04318958
        -0.12746179 0.04793796 0.18410145 0.08991534 -0.12972379 -0.08785918
        -0.04453601 -0.05483596 0.01225674 0.10435229 0.09783269 -0.06952604
        0.1860082 0.01665728 0.04611587 -0.09625227 0.07847701 -0.02245961
        0.05135201 -0.02768905 0.0499369 0.00704835 0.15519823 0.12067825""",
                 table[np.ix_(ENDS, ENDS)])
    yield Figure("shape of the token table", "50257 768", table.shape)
    written = write(model, encode(PROMPT), 25, temperature=1.5, top_k=50, rng=TorchGenerator(123))
    # a line break would break the table: it is shown as its escape
    yield Figure("text drawn at temperature 1.5",
                 "Every effort moves you toward finding an ideal new way to practice something!"
                 r"\n\nWhat makes us want to be on top of that?\n\n",
                 decode(written).replace("\n", r"\n"))
