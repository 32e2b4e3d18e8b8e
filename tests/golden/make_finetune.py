"""Make finetune.safetensors: how transformers, torch and peft fine-tune a small random model.

    python tests/golden/make_finetune.py          # needs torch, transformers, peft

Three tasks from one model, each three steps of torch's AdamW in float64: instructions with the loss
on the answer alone, the same with low-rank updates of peft, and classification by the last token
with all but the last block, the last norm and the head frozen (the book's chapters 7 and 6). The
file has the parameters at the start, the loss of every step, and the trained parameters at the end.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy
from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel

HERE = Path(__file__).parent
CHARACTERS = "\n abcdefgh"
CONFIG = {"vocab_size": len(CHARACTERS), "n_positions": 14, "n_embd": 8, "n_layer": 2, "n_head": 2}
ANSWERS = [["add ab", "ba"], ["a", "head "], ["be dead", "a"]]
LABELLED = [["a cab", "no"], ["bed", "yes"], ["feed a beggar"[:12], "yes"], ["a", "no"]]
LR, BETAS, DECAY, STEPS = 0.01, (0.9, 0.95), 0.1, 3
RANK, ALPHA, ON = 2, 3, ["c_attn", "mlp.c_proj"]


def ids_of(text: str) -> list[int]:
    """One id a character."""
    return [CHARACTERS.index(character) for character in text]


def padded(rows: list[list[int]], filler: int) -> torch.Tensor:
    """Rows of one length."""
    width = max(map(len, rows))
    return torch.tensor([row + [filler] * (width - len(row)) for row in rows])


def answers() -> dict[str, torch.Tensor]:
    """Prompts with answers that end in a newline; labels that transformers shifts by itself."""
    given = [ids_of(prompt) for prompt, _ in ANSWERS]
    said = [ids_of(answer + "\n") for _, answer in ANSWERS]
    return {"input_ids": padded([a + b for a, b in zip(given, said)], 0),
            "labels": padded([[-100] * len(a) + b for a, b in zip(given, said)], -100)}


def classes() -> dict[str, torch.Tensor]:
    """Texts and the numbers of their labels; the padding is an id that no text has."""
    names = sorted({label for _, label in LABELLED})
    return {"input_ids": padded([ids_of(text) for text, _ in LABELLED], 0),
            "labels": torch.tensor([names.index(label) for _, label in LABELLED])}


def steps(model: Any, batch: dict[str, torch.Tensor],
          trained: Callable[[str], bool]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss before each step, and what the steps have changed."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trained(name))
    chosen = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW([
        {"params": [p for p in chosen.values() if p.dim() >= 2], "weight_decay": DECAY},
        {"params": [p for p in chosen.values() if p.dim() < 2], "weight_decay": 0.0},
    ], lr=LR, betas=BETAS)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        out, labels = model(**batch), batch["labels"]
        # transformers rounds the logits of tokens to float32 for its own loss
        loss = out.loss if labels.dim() == 1 else cross_entropy(
            out.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses), {name: p.detach() for name, p in chosen.items()}


def build(kind: Any = GPT2LMHeadModel, **more: Any) -> Any:
    """The same small model every time, below whatever head, in float64."""
    config = GPT2Config(**CONFIG, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
                        bos_token_id=None, eos_token_id=None, **more)
    model = kind(config).double().train()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            centre = 1.0 if ".ln_" in name and name.endswith("weight") else 0.0
            parameter.copy_(centre + 0.5 * torch.randn(
                parameter.shape, generator=generator, dtype=torch.float64))
    return model


def main() -> None:
    """Write the file."""
    tensors: dict[str, torch.Tensor] = {}

    def keep(what: str, model: Any, batch: dict[str, torch.Tensor],
             trained: Callable[[str], bool]) -> None:
        tensors.update({f"{what}.start.{name}": p.detach().clone()
                        for name, p in model.named_parameters()})
        losses, ends = steps(model, batch, trained)
        tensors[f"{what}.losses"] = losses
        tensors.update({f"{what}.end.{name}": p.clone() for name, p in ends.items()})

    keep("whole", build(), answers(), lambda name: True)
    adapted = get_peft_model(build(), LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=ON, fan_in_fan_out=True, task_type="CAUSAL_LM"))
    adapted.double()
    with torch.no_grad():
        for name, parameter in sorted(adapted.named_parameters()):
            if "lora_" in name:
                parameter.copy_(0.3 * torch.randn(
                    parameter.shape, generator=torch.Generator().manual_seed(len(name)),
                    dtype=torch.float64))
    keep("lora", adapted, answers(), lambda name: "lora_" in name)
    keep("classes", build(GPT2ForSequenceClassification, num_labels=2, pad_token_id=0),
         classes(), lambda name: name.startswith(
             ("score", "transformer.ln_f", f"transformer.h.{CONFIG['n_layer'] - 1}.")))
    about = {"config": CONFIG, "characters": CHARACTERS, "answers": ANSWERS, "labelled": LABELLED,
             "lr": LR, "betas": BETAS, "decay": DECAY, "rank": RANK, "alpha": ALPHA, "on": ON}
    save_file(tensors, HERE / "finetune.safetensors", {"about": json.dumps(about)})


if __name__ == "__main__":
    main()
