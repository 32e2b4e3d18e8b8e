"""Write golden.json: what PyTorch's CPU generator, DataLoader and a small model of the book give.

    /path/to/python-with-torch tests/book/make_golden.py

Made with PyTorch 2.13 on x86-64 with AVX2. The tests read the file and need no PyTorch. Arrays are
saved as the sha256 of their bytes and a few of their numbers.
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

HERE = Path(__file__).parent
DTYPES = {"float32": torch.float32, "float64": torch.float64}
SEEDS = (0, 123, 2**32 - 1, 2**40 + 5, -3)
KINDS = ("rand", "randn", "few_normals", "linear", "embedding", "dropout", "choice", "choices",
         "choices_again", "randperm", "randint", "draw_seed")

TINY = {"vocab_size": 61, "context_length": 8, "emb_dim": 12, "n_heads": 3, "n_layers": 2,
        "drop_rate": 0.1, "qkv_bias": False}


def saved(tensor: torch.Tensor) -> dict[str, Any]:
    """What the golden file keeps of a tensor."""
    array = tensor.detach().contiguous().numpy()
    flat = array.ravel()
    places = sorted({0, flat.size // 3, flat.size // 2, flat.size - 1}) if flat.size else []
    return {"dtype": str(array.dtype), "shape": list(array.shape),
            "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
            "some": {str(place): flat[place].item() for place in places}}


def size(chance: random.Random) -> int:
    """Mostly small, sometimes thousands, hardly ever a multiple of 16."""
    return chance.randint(1, 70) if chance.random() < 0.7 else chance.randint(1000, 9000)


def weight(i: int) -> int:
    """The chance of entry i in a draw, out of the sum of all; some are 0."""
    return (i * i + 3 * i + 2) % 7


def one_call(kind: str, chance: random.Random) -> tuple[list[Any], list[torch.Tensor]]:
    """Arguments for TorchGenerator's method of that kind, and PyTorch's results."""
    n, m = size(chance), chance.randint(1, 7)
    dtype = chance.choice(list(DTYPES))
    kind_of = {"dtype": DTYPES[dtype]}
    if kind == "rand":
        return [n, m, dtype], [torch.rand(n, m, **kind_of)]
    if kind == "randn":
        return [n, m, dtype], [torch.randn(n, m, **kind_of)]
    if kind == "few_normals":
        return [m, dtype], [torch.randn(m, **kind_of)]
    if kind == "linear":
        bias = chance.random() < 0.5
        layer = nn.Linear(n, m, bias=bias, **kind_of)
        return [n, m, bias, dtype], [layer.weight, layer.bias] if bias else [layer.weight]
    if kind == "embedding":
        return [n, m, dtype], [nn.Embedding(n, m, **kind_of).weight]
    if kind == "dropout":
        rate = chance.choice([0.0, 0.1, 0.2, 0.5, 0.9])
        return [n, m, rate, dtype], [nn.functional.dropout(torch.ones(n, m, **kind_of), rate)]
    if kind.startswith("choice"):
        p = torch.tensor([[weight(i) for i in range(n)]] * m, **kind_of)
        again = kind == "choices_again"
        possible = int((p[0] > 0).sum())
        # many draws without replacement may tie, and PyTorch's order of ties is its own
        samples = 1 if kind == "choice" else 5 * m if again else min(possible, 20)
        return [n, m, samples, again, dtype], [torch.multinomial(p, samples, replacement=again)]
    if kind == "randperm":
        return [n], [torch.randperm(n)]
    if kind == "randint":
        width = chance.choice([1, 2, 10, 2**28 - 1, 2**28, 2**28 + 1, 2**32, 2**40])
        return [-3, width - 3, n], [torch.randint(-3, width - 3, (n,))]
    return [], [torch.empty((), dtype=torch.int64).random_()]


def sequences() -> list[dict[str, Any]]:
    """A mixed sequence of calls for each seed."""
    result = []
    for seed in SEEDS:
        chance = random.Random(seed)
        torch.manual_seed(seed)
        calls = []
        for _ in range(40):
            kind = chance.choice(KINDS)
            arguments, outs = one_call(kind, chance)
            calls.append({"kind": kind, "arguments": arguments, "outs": [saved(o) for o in outs]})
        result.append({"seed": seed, "calls": calls})
    return result


def loader_orders() -> dict[str, Any]:
    """Orders of two loaders in turn, one shuffled, and where the generator then stands."""
    torch.manual_seed(123)
    shuffled = DataLoader(list(range(19)), batch_size=2, shuffle=True, drop_last=True)
    plain = DataLoader(list(range(3)), batch_size=2)
    orders = []
    for _ in range(3):
        orders += [[batch.tolist() for batch in loader] for loader in (shuffled, plain)]
    return {"orders": orders, "then": torch.rand(3).tolist()}


class Attention(nn.Module):
    """Causal heads with dropout on their weights."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        super().__init__()
        width, self.heads = cfg["emb_dim"], cfg["n_heads"]
        self.W_query, self.W_key, self.W_value = (
            nn.Linear(width, width, bias=cfg["qkv_bias"]) for _ in range(3))
        self.out_proj = nn.Linear(width, width)
        self.dropout = nn.Dropout(cfg["drop_rate"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, C) to (B, T, C)."""
        b, t, c = x.shape
        q, k, v = (part(x).view(b, t, self.heads, -1).transpose(1, 2)
                   for part in (self.W_query, self.W_key, self.W_value))
        scores = q @ k.transpose(2, 3) / (c // self.heads) ** 0.5
        future = torch.ones(t, t, dtype=torch.bool).triu(1)
        weights = self.dropout(scores.masked_fill(future, -torch.inf).softmax(-1))
        return self.out_proj((weights @ v).transpose(1, 2).reshape(b, t, c))


class Block(nn.Module):
    """Attention, then the feed-forward network, each added to what came in."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        super().__init__()
        width = cfg["emb_dim"]
        self.att = Attention(cfg)
        self.ff = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop = nn.Dropout(cfg["drop_rate"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, C) to (B, T, C)."""
        x = x + self.drop(self.att(self.norm1(x)))
        return x + self.drop(self.ff(self.norm2(x)))


class Model(nn.Module):
    """The book's GPT-2, built in the book's order."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        super().__init__()
        width = cfg["emb_dim"]
        self.tok_emb = nn.Embedding(cfg["vocab_size"], width)
        self.pos_emb = nn.Embedding(cfg["context_length"], width)
        self.drop = nn.Dropout(cfg["drop_rate"])
        self.blocks = nn.Sequential(*(Block(cfg) for _ in range(cfg["n_layers"])))
        self.final_norm = nn.LayerNorm(width)
        self.out_head = nn.Linear(width, cfg["vocab_size"], bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(B, T) to (B, T, V)."""
        x = self.drop(self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1])))
        return self.out_head(self.final_norm(self.blocks(x)))


def in_our_names(model: Model) -> dict[str, torch.Tensor]:
    """The parameters under GPT-2's names, linear weights as (in, out)."""
    params = {"wte.weight": model.tok_emb.weight, "wpe.weight": model.pos_emb.weight,
              "ln_f.weight": model.final_norm.weight, "ln_f.bias": model.final_norm.bias,
              "lm_head.weight": model.out_head.weight}
    for i, block in enumerate(model.blocks):
        parts = (block.att.W_query, block.att.W_key, block.att.W_value)
        h = f"h.{i}"
        params[f"{h}.attn.c_attn.weight"] = torch.cat([part.weight.T for part in parts], dim=1)
        if parts[0].bias is not None:
            params[f"{h}.attn.c_attn.bias"] = torch.cat([part.bias for part in parts])
        for name, layer in (("attn.c_proj", block.att.out_proj), ("mlp.c_fc", block.ff[0]),
                            ("mlp.c_proj", block.ff[2])):
            params[f"{h}.{name}.weight"], params[f"{h}.{name}.bias"] = layer.weight.T, layer.bias
        for name, norm in (("ln_1", block.norm1), ("ln_2", block.norm2)):
            params[f"{h}.{name}.weight"], params[f"{h}.{name}.bias"] = norm.weight, norm.bias
    return params


def initial(cfg: dict[str, Any]) -> dict[str, Any]:
    """Initial parameters, and scores with dropout on right after."""
    torch.manual_seed(123)
    model = Model(cfg)
    params = {name: saved(tensor) for name, tensor in in_our_names(model).items()}
    ids = torch.arange(14).reshape(2, 7)
    return {"cfg": cfg, "params": params, "logits": model(ids).tolist()}


def training() -> dict[str, Any]:
    """Three epochs of the book's loop on counting numbers, evaluated every five steps."""
    ids = torch.arange(200) * 7 % 61
    pairs = [(ids[i:i + 8], ids[i + 1:i + 9]) for i in range(0, 192, 8)]
    torch.manual_seed(123)
    model = Model(TINY)
    train = DataLoader(pairs[:15], batch_size=2, shuffle=True, drop_last=True)
    val = DataLoader(pairs[20:], batch_size=2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-4, weight_decay=0.1)

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())

    def mean_loss(loader: DataLoader, at_most: int) -> float:
        n, total = min(at_most, len(loader)), 0.0
        for i, batch in enumerate(loader):
            if i == n:
                break
            total += loss_of(*batch).item()
        return total / n

    log = []
    step = 0
    for _ in range(3):
        for x, y in train:
            loss = loss_of(x, y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if step % 5 == 0:
                model.eval()
                with torch.no_grad():
                    log.append([step, loss.item(), mean_loss(train, 5), mean_loss(val, 5)])
                model.train()
            step += 1
    params = {name: tensor.flatten()[:8].tolist() for name, tensor in in_our_names(model).items()}
    return {"log": log, "params": params, "then": torch.rand(3).tolist()}


def main() -> None:
    """Write the file."""
    torch.set_num_threads(1)
    content = {
        "torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability(),
        "sequences": sequences(), "loaders": loader_orders(),
        "initial": [initial(TINY), initial({**TINY, "qkv_bias": True, "n_heads": 4})],
        "training": training(),
    }
    text = json.dumps(content, separators=(",", ":"))
    (HERE / "golden.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
