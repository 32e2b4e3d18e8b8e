"""Three notebooks, made from the scripts in data/: a layer, a training run, GPT-2.

    from npgpt.notebooks.writing import write_notebooks
    write_notebooks(Path("notebooks"))

A script has cells, `# %%` for code and `# %% [markdown]` for text, so that it runs as it is; its
docstring is the first cell. The tests run every cell of what is written.
"""

from __future__ import annotations

NOTEBOOKS = {
    "layer": "1-a-layer-and-its-gradient",
    "training": "2-train-and-look-inside",
    "gpt2": "3-load-gpt2-and-measure",
}
"""The script of each notebook, and the name of its file."""
