"""Make folders/: models as transformers, torch and the book write them, and their logits.

    python tests/golden/make_folders.py         # needs torch and transformers, and make_golden.py

Every folder is one form that GPT-2's weights come in; NAME.golden beside it holds token ids and the
logits that transformers computes for that very folder, or for the model that it was made from where
transformers has no such form. The test suite reads them and needs none of this.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from make_golden import build
from safetensors.torch import save_file, save_model
from transformers import GPT2ForSequenceClassification, GPT2LMHeadModel

HERE = Path(__file__).parent / "folders"
SIZES = dict(n_layer=2, n_head=2, n_embd=8, vocab_size=19, n_positions=12, n_inner=10)
GENERAL = {"n_embd": "hidden_size", "n_head": "num_attention_heads",
           "n_layer": "num_hidden_layers", "n_positions": "max_position_embeddings"}
SPELLINGS = ("gelu", "gelu_python", "gelu_new", "gelu_fast", "gelu_pytorch_tanh",
             "gelu_python_tanh", "gelu_accurate", "relu", "silu", "swish", "linear", "leaky_relu")
IDS = torch.arange(14).reshape(2, 7) % 19


def logits_of(model: torch.nn.Module) -> torch.Tensor:
    """What a model says of IDS."""
    with torch.no_grad():
        return model.eval()(IDS).logits


def loaded(folder: Path) -> GPT2LMHeadModel:
    """The folder as transformers loads it."""
    return GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager")


def write_golden(name: str, logits: torch.Tensor, **more: torch.Tensor) -> None:
    """NAME.golden: the ids, the logits, and more."""
    save_file({"ids": IDS, "logits": logits.contiguous(), **more}, HERE / f"{name}.golden")


def rewritten(name: str, model: GPT2LMHeadModel, tensors: dict[str, torch.Tensor]) -> Path:
    """A folder with the model's config and these tensors."""
    model.config.save_pretrained(HERE / name)
    tensors = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    save_file(tensors, HERE / name / "model.safetensors")
    write_golden(name, logits_of(model))
    return HERE / name


def fused(model: GPT2LMHeadModel) -> dict[str, torch.Tensor]:
    """The model under the book's names, with q, k and v in one matrix, as its chapter 3 ends."""
    theirs = {"ln_1": "norm1", "ln_2": "norm2", "attn.c_attn": "att.qkv", "attn.c_proj": "att.proj",
              "mlp.c_fc": "ff.layers.0", "mlp.c_proj": "ff.layers.2"}
    result = {"out_head.weight": model.lm_head.weight}
    for name, tensor in model.transformer.named_parameters():
        if not name.startswith("h."):
            name = name.replace("wte", "tok_emb").replace("wpe", "pos_emb")
            name = name.replace("ln_f.weight", "final_norm.scale")
            result[name.replace("ln_f.bias", "final_norm.shift")] = tensor
            continue
        _, block, place = name.split(".", 2)
        module, _, kind = place.rpartition(".")
        if module.startswith("ln_"):
            kind = {"weight": "scale", "bias": "shift"}[kind]
        result[f"trf_blocks.{block}.{theirs[module]}.{kind}"] = (
            tensor.T if tensor.dim() == 2 else tensor)
    return result


def main() -> None:
    """Write every folder."""
    torch.set_num_threads(1)
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    for seed, (name, fields) in enumerate({
        "plain": {}, "untied": {"tie_word_embeddings": False},
        "stanford": {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True},
        "unscaled": {"scale_attn_weights": False},
    }.items()):
        build(seed, {**SIZES, **fields}).save_pretrained(HERE / name)
        write_golden(name, logits_of(loaded(HERE / name)))

    general = build(5, SIZES)
    general.save_pretrained(HERE / "general_names")
    file = HERE / "general_names" / "config.json"
    values = json.loads(file.read_text())
    file.write_text(json.dumps({GENERAL.get(key, key): value for key, value in values.items()}))
    write_golden("general_names", logits_of(loaded(HERE / "general_names")))

    spelled = {}
    model = loaded(HERE / "plain")
    for name in SPELLINGS:
        model.config.activation_function = name
        again = GPT2LMHeadModel(model.config)
        again.load_state_dict(model.state_dict())
        spelled[f"logits.{name}"] = logits_of(again)
    save_file({"ids": IDS, **spelled}, HERE / "spellings.golden")

    model = build(6, SIZES)
    folder = rewritten("head_alone", model, {})
    save_model(model, str(folder / "model.safetensors"))      # one name for one matrix
    state = dict(model.state_dict())
    head = state.pop("lm_head.weight")
    rewritten("decoder_head", model, {**state, "lm_head.decoder.weight": head})
    rewritten("compiled", model, torch.nn.DataParallel(torch.compile(model)).state_dict())
    model = build(8, {**SIZES, "n_inner": None})
    book = rewritten("book_fused", model, fused(model))
    (book / "config.json").write_text(json.dumps({
        "vocab_size": 19, "context_length": 12, "emb_dim": 8, "n_heads": 2, "n_layers": 2,
        "drop_rate": 0.0, "qkv_bias": True,
    }))

    torch.manual_seed(7)
    GPT2ForSequenceClassification(build(7, SIZES).config).save_pretrained(HERE / "classifier")
    write_golden("classifier", logits_of(loaded(HERE / "classifier")))
    for file in HERE.rglob("*"):
        if file.name == "generation_config.json":
            file.unlink()
        elif file.is_file():
            file.chmod(0o644)


if __name__ == "__main__":
    main()
