"""What "ReLU's Revival" printed, to stand beside a study's own numbers.

12 layers, 12 heads, 768 channels, T = 128, CodeParrot, 2.1 B tokens, one seed; natural logarithms.

Source     arXiv 2410.09637; the layer means are read off its figures
"""

from __future__ import annotations

from dataclasses import dataclass

TITLE = "ReLU's Revival: On the Entropic Overload in Normalization-Free Large Language Models"
LINK = "https://arxiv.org/abs/2410.09637"
SCALE = "12 layers, 12 heads, 768 channels, T = 128, 2.1 billion tokens, one seed"
LARGEST_ENTROPY = 3.87
"""Called Max there: the largest entropy that they observed, in nats."""


@dataclass(frozen=True)
class Row:
    """One configuration of the paper; None where it prints no number."""

    perplexity: float | None
    """NaN where the paper's run diverged."""
    quartiles: tuple[float, float, float, float] | None = None
    """Heads per quarter of 0 to the largest entropy, in percent."""
    mean_entropy: float | None = None
    layers: tuple[float, ...] | None = None
    """Mean entropy of each of the 12 layers, in nats."""
    over_baseline: float | None = None
    """Perplexity over the baseline's, in percent, as printed."""


ROWS: dict[str, Row] = {
    "softmax + LayerNorm + GELU": Row(
        2.688, (4, 14, 74, 8), 2.38,
        (3.06, 1.26, 1.64, 2.38, 2.47, 2.10, 2.50, 2.49, 2.57, 2.67, 2.68, 2.70), 0.0),
    "softmax + LayerNorm + ReLU": Row(2.757, (6, 16, 74, 3), 2.27, None, 2.53),
    "softmax + GELU": Row(
        3.197, (1, 18, 23, 58), 2.81,
        (3.16, 3.24, 3.23, 3.34, 3.50, 3.50, 3.32, 2.91, 1.81, 1.88, 1.96, 1.87), 18.92),
    "softmax + ReLU": Row(
        2.936, (3, 20, 53, 24), 2.38,
        (2.85, 2.58, 2.83, 2.90, 3.02, 2.66, 2.07, 1.95, 1.51, 2.15, 1.77, 2.31), 9.20),
    "softmax": Row(float("nan")),
}
