"""Memory of fine-tuning GPT-2 124M, whole and by low-rank updates, beside PyTorch and peft.

    python -m benchmarks.lora --write
    python -m benchmarks.lora --peers-python P      torch, transformers, peft from another Python

Random weights, batches of 4 x 256 tokens, AdamW; updates of rank 8 on c_attn and c_proj. Each of
the four is a process of its own: its peak is all the memory that it ever had, its libraries'
included. Writes results/lora.json and the
table in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Callable

from .children import run_child
from .readme import put_section

RESULTS = Path(__file__).parent / "results"
BATCH, LENGTH, STEPS = 4, 256, 2
RANK, ALPHA, ON = 8, 16, ["c_attn", "c_proj"]
SIDES = {"npgpt": "npgpt", "torch": "PyTorch, peft"}
WAYS = {"whole": "all weights", "lora": f"rank {RANK} on {', '.join(ON)}"}


def step_of_npgpt(way: str) -> tuple[Callable[[], object], int]:
    """A training step of npgpt, and how many elements it trains."""
    import numpy as np

    from npgpt.params import init_params
    from npgpt.text import CharTokenizer
    from npgpt.training.settings import resolve
    from npgpt.training.state import TrainingState
    from npgpt.training.step.adamw import zero_moments
    from npgpt.training.update import train_step

    flags: dict[str, Any] = {"batch_size": BATCH, "sequence_length": LENGTH, "resid_pdrop": 0.0,
                             "grad_accumulation": 1, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    if way == "lora":
        flags |= {"lora_rank": RANK, "lora_alpha": float(ALPHA), "lora_on": ",".join(ON)}
    run = resolve("gpt2", flags=flags)
    config = run.model_config(50257)
    params = init_params(config)
    trained = {name: a for name, a in params.items() if way == "whole" or ".lora_" in name}
    state = TrainingState(0, config, params, zero_moments(trained), zero_moments(trained), run,
                          CharTokenizer("a"), "")
    tokens = np.random.default_rng(0).integers(0, 50257, 10_000).astype(np.uint16)
    return (lambda: train_step(state, tokens)), sum(a.size for a in trained.values())


def step_of_torch(way: str) -> tuple[Callable[[], object], int]:
    """The same of transformers' GPT-2 in PyTorch, with peft's updates."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))
    if way == "lora":
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(
            r=RANK, lora_alpha=ALPHA, target_modules=ON, fan_in_fan_out=True,
            task_type="CAUSAL_LM"))
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)

    def step() -> None:
        ids = torch.randint(0, 50257, (BATCH, LENGTH))
        optimizer.zero_grad(set_to_none=True)
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()

    return step, sum(p.numel() for p in trained)


def one(side: str, way: str) -> None:
    """Take the steps in this process, and print what they took."""
    step, trained = (step_of_npgpt if side == "npgpt" else step_of_torch)(way)
    for _ in range(STEPS):
        step()
    print(json.dumps({"trained": trained}))


def table(found: dict[str, dict[str, Any]]) -> str:
    """The measured figures, as the section of the page."""
    lines = [f"GPT-2 124M, random weights, a step of {BATCH} x {LENGTH} tokens by AdamW, no "
             "dropout: peak memory of the\nwhole process. Measured by "
             "`python -m benchmarks.lora --write`.", "",
             "| trained | elements | npgpt | PyTorch, peft | npgpt's part of it |",
             "|---|---|---|---|---|"]
    for way, words in WAYS.items():
        ours, theirs = (found[f"{side} {way}"] for side in SIDES)
        lines.append(f"| {words} | {ours['trained']:,} | " + " | ".join(
            f"{figures['peak_mb']} MB" for figures in (ours, theirs))
            + f" | {ours['peak_mb'] / theirs['peak_mb']:.2f} |")
    parts = [found[f"{side} lora"]["peak_mb"] / found[f"{side} whole"]["peak_mb"]
             for side in SIDES]
    lines.append("| updates' part of the whole | | " + " | ".join(f"{p:.2f}" for p in parts)
                 + " | |")
    return "\n".join(lines)


def main() -> int:
    """Measure all four, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lora", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=2, metavar=("SIDE", "WAY"), help=argparse.SUPPRESS)
    parser.add_argument("--peers-python", default=sys.executable, metavar="PATH",
                        help="a Python that has torch, transformers and peft")
    parser.add_argument("--write", action="store_true", help="results/lora.json and the page")
    args = parser.parse_args()
    if args.one:
        one(*args.one)
        return 0
    found: dict[str, dict[str, Any]] = {}
    for side in SIDES:
        for way in WAYS:
            python = sys.executable if side == "npgpt" else args.peers_python
            try:
                child = run_child([python, "-m", "benchmarks.lora", "--one", side, way])
            except RuntimeError as error:
                print(f"{side} {way}: not measured. {error}", file=sys.stderr)
                return 1
            found[f"{side} {way}"] = {**json.loads(child.out.splitlines()[-1]),
                                      "peak_mb": round(child.peak_bytes / 2**20)}
            print(f"{side} {way}: {found[f'{side} {way}']}", flush=True)
    print(table(found))
    if args.write:
        from .machine import describe_machine

        content = json.dumps({"machine": describe_machine(), **found}, indent=1)
        (RESULTS / "lora.json").write_text(content + "\n", encoding="utf-8")
        put_section("lora", table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
