"""nanoGPT's CPU recipe as a PyTorch script: what `npgpt train --preset shakespeare-char` does.

    python -m benchmarks.sides.torch_loop 2000

Characters of Python's own documentation, 4 layers of 128 channels, batches of 12 x 64, warm-up and
cosine, clipping, an evaluation on 20 batches every 250 iterations. Prints {"val_loss": ...}.
"""

from __future__ import annotations

import json
import math
import os
import sys
from pydoc_data import topics

import torch

from ..sizes import SIZES
from .torch_gpt import GPT, fused_adamw


def main() -> None:
    """Train and print the last validation loss."""
    iterations = int(sys.argv[1])
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(1337)
    text = "\n".join(topics.topics.values())
    letters = {letter: i for i, letter in enumerate(sorted(set(text)))}
    data = torch.tensor([letters[letter] for letter in text])
    train, val = data[:int(0.9 * len(data))], data[int(0.9 * len(data)):]
    values, batch, length = SIZES["recipe"]
    model = GPT(**{**values, "vocab_size": len(letters)})
    optimiser = fused_adamw(model, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1)

    def draw(tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        starts = torch.randint(len(tokens) - length, (batch,)).tolist()
        x = torch.stack([tokens[i:i + length] for i in starts])
        return x, torch.stack([tokens[i + 1:i + 1 + length] for i in starts])

    @torch.inference_mode()
    def evaluate() -> float:
        return sum(float(model(*draw(val))) for _ in range(20)) / 20

    loss = math.nan
    for step in range(iterations):
        if step % 250 == 0:
            loss = evaluate()
        for group in optimiser.param_groups:
            group["lr"] = _rate(step, iterations)
        optimiser.zero_grad(set_to_none=True)
        model(*draw(train)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    loss = evaluate()
    print(json.dumps({"val_loss": loss}))


def _rate(step: int, iterations: int) -> float:
    if step < 100:
        return 1e-3 * (step + 1) / 101
    share = (step - 100) / max(1, iterations - 100)
    return 1e-4 + 0.5 * (1.0 + math.cos(math.pi * share)) * 9e-4


if __name__ == "__main__":
    main()
