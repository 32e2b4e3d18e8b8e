"""Make the golden files: what transformers and torch compute for small random models.

    python tests/golden/make_golden.py          # needs torch and transformers, and npgpt beside it

For every case one safetensors file: parameters, token ids, logits, activations, loss, gradients and
a greedy continuation, all float32. Also a folder as transformers itself writes it, in bfloat16 and
in shards. At the end each model is written by npgpt and loaded by transformers, which must find
every parameter and give equal logits. The test suite reads the files and needs none of this.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

# sizes that differ from one another, so that no transposed or swapped axis can hide
CASES = {
    "tied_gelu_new": dict(n_layer=2, n_head=2, n_embd=8, vocab_size=19, n_positions=64),
    "untied_gelu": dict(
        n_layer=1, n_head=3, n_embd=12, n_inner=20, vocab_size=17, n_positions=60,
        activation_function="gelu", tie_word_embeddings=False,
    ),
    "tied_relu_deep": dict(
        n_layer=4, n_head=1, n_embd=6, vocab_size=23, n_positions=58, n_inner=10,
        activation_function="relu", layer_norm_epsilon=1e-3,
    ),
}
BATCH, LENGTH, NEW_TOKENS = 2, 7, 50


def build(seed: int, fields: dict) -> GPT2LMHeadModel:
    """A model whose every parameter, biases and norms too, is of a size that matters."""
    torch.manual_seed(seed)
    config = GPT2Config(
        **fields, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=None,
        eos_token_id=None, attn_implementation="eager",
    )
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            fan_in = parameter.shape[0] if parameter.dim() == 2 else 4
            centre = 1.0 if ".ln_" in name and name.endswith("weight") else 0.0
            parameter.copy_(centre + torch.randn_like(parameter) / fan_in**0.5)
            if name.endswith(("wte.weight", "wpe.weight", "lm_head.weight")):
                parameter.copy_(torch.randn_like(parameter))
    return model


def activations(model: GPT2LMHeadModel, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """What every module of interest puts out, by its name."""
    found: dict[str, torch.Tensor] = {}
    hooks = []
    for name, module in model.transformer.named_modules():
        ends = ("ln_1", "ln_2", "ln_f", "c_attn", "attn.c_proj", "mlp", "drop")
        is_block = name.startswith("h.") and name.count(".") == 1
        if name.endswith(ends) or is_block:
            def keep(_module, _inputs, out, name=name):
                found[name] = out[0] if isinstance(out, tuple) else out
            hooks.append(module.register_forward_hook(keep))
    with torch.no_grad():
        model(ids)
    for hook in hooks:
        hook.remove()
    return {name: out.reshape(*ids.shape, -1).clone() for name, out in found.items()}


def golden(model: GPT2LMHeadModel, seed: int) -> dict[str, torch.Tensor]:
    """Everything a port can be compared with."""
    config = model.config
    ids = torch.randint(config.vocab_size, (BATCH, LENGTH))
    targets = torch.randint(config.vocab_size, (BATCH, LENGTH))
    targets[0, 2] = -100
    out = model(ids)
    loss = torch.nn.functional.cross_entropy(out.logits.flatten(0, 1), targets.flatten())
    loss.backward()
    parameters = dict(model.named_parameters())
    result = {f"param.{name.removeprefix('transformer.')}": p for name, p in parameters.items()}
    result |= {f"grad.{name.removeprefix('transformer.')}": p.grad
               for name, p in parameters.items()}
    result |= {f"act.{name}": out for name, out in activations(model, ids).items()}
    continuation = model.generate(
        ids, max_new_tokens=NEW_TOKENS, do_sample=False, attention_mask=torch.ones_like(ids),
    )
    result |= {
        "ids": ids, "targets": targets, "logits": out.logits, "loss": loss.reshape(1),
        "continuation": continuation[:, LENGTH:],
    }
    return {name: tensor.detach().clone().contiguous() for name, tensor in result.items()}


def check_round_trip(model: GPT2LMHeadModel, tensors: dict[str, torch.Tensor]) -> float:
    """npgpt writes, transformers loads: no parameter may be missing, logits must be equal."""
    from npgpt import GPT2
    from npgpt import GPT2Config as Ours

    config = Ours.from_dict(model.config.to_dict(), ignore_unknown=True)
    params = {name[6:]: t.numpy() for name, t in tensors.items() if name.startswith("param.")}
    with tempfile.TemporaryDirectory() as folder:
        GPT2(config, params).save(Path(folder) / "model")
        theirs, info = GPT2LMHeadModel.from_pretrained(
            Path(folder) / "model", output_loading_info=True, attn_implementation="eager"
        )
    problems = {key: value for key, value in info.items() if value}
    if problems:
        raise SystemExit(f"transformers does not take npgpt's folder: {problems}")
    with torch.no_grad():
        gap = (theirs.eval()(tensors["ids"]).logits - tensors["logits"]).abs().max().item()
    if gap > 1e-6:
        raise SystemExit(f"logits differ by {gap} after npgpt wrote and transformers loaded")
    return gap


def main() -> None:
    """Write every golden file beside this script."""
    torch.set_num_threads(1)        # sums in one order: the same bytes at every run
    for seed, (name, fields) in enumerate(CASES.items()):
        model = build(seed, fields)
        tensors = golden(model, seed)
        metadata = {"config": json.dumps(fields)}
        save_file(tensors, HERE / f"{name}.safetensors", metadata)
        gap = check_round_trip(model, tensors)
        print(f"{name}: written; after npgpt.save and from_pretrained logits differ by {gap:.1e}")

    folder = HERE / "transformers_bf16_shards"
    shutil.rmtree(folder, ignore_errors=True)
    model = build(9, dict(n_layer=1, n_head=2, n_embd=8, vocab_size=11, n_positions=6))
    model.bfloat16().save_pretrained(folder, max_shard_size="1KB")
    model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32)
    ids = torch.arange(6).reshape(1, 6)
    with torch.no_grad():
        logits = model(ids).logits
    save_file({"ids": ids, "logits": logits}, HERE / "transformers_bf16_shards.golden")
    (folder / "generation_config.json").unlink(missing_ok=True)
    for file in [*HERE.glob("*.safetensors"), *HERE.glob("*.golden"), *folder.iterdir()]:
        file.chmod(0o644)


if __name__ == "__main__":
    main()
