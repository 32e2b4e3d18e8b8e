"""nanoGPT's CPU recipe as a PyTorch script: what `npgpt train --preset shakespeare-char` does.

    python -m benchmarks.sides.torch_loop 2000 TOKENS VOCAB_SIZE OUT

TOKENS holds train.bin and val.bin, uint16. 4 layers of 128 channels, batches of 12 x 64, warm-up
and cosine, clipping, fused AdamW, the loss of every step printed and logged; before the first step
and every 250 steps an evaluation on 20 batches and a checkpoint, and at the end the loss over all
held-out text. No samples are written. The last line is {"val_loss": ...}.
"""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import torch

from ..sizes import SIZES
from .torch_gpt import GPT, fused_adamw

EVERY, EVAL_BATCHES = 250, 20
Batch = tuple[torch.Tensor, torch.Tensor]


def main() -> None:
    """Train and print the loss over all held-out text."""
    iterations, folder, vocab_size = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    out = Path(sys.argv[4])
    out.mkdir(parents=True)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(1337)
    train, val = (np.memmap(folder / f"{split}.bin", "<u2", "r") for split in ("train", "val"))
    values, batch, length = SIZES["recipe"]
    values = {**values, "vocab_size": vocab_size}
    model = GPT(**values)
    optimiser = fused_adamw(model, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1)

    def draw() -> Batch:
        return _windows(train, torch.randint(len(train) - length, (batch,)).tolist(), length)

    def save(step: int) -> None:
        saved = {"model": model.state_dict(), "optimizer": optimiser.state_dict(),
                 "config": values, "step": step}
        torch.save(saved, out / "beside.pt")
        os.replace(out / "beside.pt", out / "checkpoint.pt")

    with open(out / "log.jsonl", "w", encoding="utf-8") as log:
        def report(record: dict[str, Any]) -> None:
            log.write(json.dumps(record) + "\n")
            print(record)

        report({"step": 0, "val": evaluate(model, evenly(val, batch, length))})
        save(0)
        for step in range(iterations):
            for group in optimiser.param_groups:
                group["lr"] = rate(step, iterations)
            optimiser.zero_grad(set_to_none=True)
            loss = model(*draw())
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            done = step + 1
            record = {"step": done, "loss": loss.item(), "grad_norm": norm.item()}
            if done % EVERY == 0 or done == iterations:
                record["val"] = evaluate(model, evenly(val, batch, length))
                save(done)
            report(record)
    print(json.dumps({"val_loss": evaluate(model, everything(val, batch, length))}))


@torch.inference_mode()
def evaluate(model: GPT, batches: Iterator[Batch]) -> float:
    """Mean loss over every target of the batches."""
    total, count = 0.0, 0
    for ids, targets in batches:
        total += model(ids, targets).item() * targets.numel()
        count += targets.numel()
    return total / count


def evenly(tokens: np.ndarray, batch: int, length: int) -> Iterator[Batch]:
    """EVAL_BATCHES batches of windows spread evenly over the tokens."""
    starts = np.arange(0, len(tokens) - length, length)
    picked = np.linspace(0, len(starts) - 1, EVAL_BATCHES * batch).astype(int)
    for run in starts[picked].reshape(EVAL_BATCHES, batch):
        yield _windows(tokens, run, length)


def everything(tokens: np.ndarray, batch: int, length: int) -> Iterator[Batch]:
    """Windows that lie end to end, the last one shorter: every target once."""
    starts = np.arange(0, len(tokens) - length, length)
    for first in range(0, len(starts), batch):
        yield _windows(tokens, starts[first:first + batch], length)
    rest = (len(tokens) - 1) % length
    if rest:
        yield _windows(tokens, [len(tokens) - 1 - rest], rest)


def _windows(tokens: np.ndarray, starts: Any, length: int) -> Batch:
    rows = torch.from_numpy(np.stack([tokens[i:i + length + 1] for i in starts]).astype(np.int64))
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def rate(step: int, iterations: int) -> float:
    """The learning rate of a step, counted from 0."""
    if step < 100:
        return 1e-3 * (step + 1) / 101
    fraction = (step - 100) / max(1, iterations - 100)
    return 1e-4 + 0.5 * (1.0 + math.cos(math.pi * fraction)) * 9e-4


if __name__ == "__main__":
    main()
