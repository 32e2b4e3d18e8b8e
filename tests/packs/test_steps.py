"""Causes: an independent port with one mistake, and the mistake is named."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from npgpt import GPT2Config
from npgpt.packs import compare_packs, read_pack, tiny_config, write_pack
from npgpt.packs.steps import likely_cause

from . import port


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    return write_pack(tmp_path_factory.mktemp("pack") / "ours", tiny_config())


def compare(pack, tensors, tmp_path):
    save_file({name: np.array(a, order="C") for name, a in tensors.items()},
              tmp_path / "theirs.safetensors")
    return compare_packs(pack, tmp_path / "theirs.safetensors")


@pytest.mark.smoke
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("mistake, first, says", [
    ("", None, ""),
    ("positions from 1", "embedding.sum", "counted from 1"),
    ("unbiased", "h.0.ln_1", "unbiased variance"),
    ("no affine", "h.0.ln_1", "not applied"),
    ("eps 1e-3", "h.0.ln_1", "eps is 0.001"),
    ("strict mask", "h.0.attn.weights", "own position too"),
    ("reversed mask", "h.0.attn.weights", "wrong way round"),
    ("half", "h.0.ln_1", "half precision"),
    ("no bias", "h.0.attn.c_attn", "bias is not added"),
    ("k before q", "h.0.attn.q", "q, k, v in this order"),
    ("bare split", "h.0.attn.q", "bare reshape"),
    ("no scale", "h.0.attn.weights", "not divided by sqrt(head size)"),
    ("no mask", "h.0.attn.weights", "causal mask is missing"),
    ("bare merge", "h.0.attn.mixed", "bare reshape"),
    ("transposed", "h.0.attn.c_proj", "transposed"),
    ("no residual", "h.0.residual_1", "residual connection is missing"),
    ("exact gelu", "h.0.mlp.act", "exact GELU"),
    ("quick gelu", "h.0.mlp.act", "quick GELU"),
    ("no final norm", "logits", "final LayerNorm is left out"),
    ("sum", "loss", "a sum, not a mean"),
    ("all counted", "loss", "ignored targets are counted"),
    ("bits", "loss", "in bits"),
    ("ln_1 twice", "h.0.ln_2", "ln_1 is used twice"),
    ("from the input", "h.0.residual_2", "adds the block's input"),
])
def test_the_mistake_of_a_port_is_named(pack, tmp_path, mistake, first, says, precision):
    read = read_pack(pack)
    params = {n.split("/", 2)[2]: a for n, a in read.tensors.items()
              if n.startswith(f"{precision}/params/")}
    out = port.run(params, read.tensors["ids"], read.tensors["targets"], read.about["config"],
                   mistake)
    theirs = {f"{precision}/activations/{n}": a.astype(precision) for n, a in out.items()}
    result = compare(pack, theirs, tmp_path)
    assert result.first == (first and f"activations/{first}"), str(result)
    assert says in result.cause, str(result)


@pytest.mark.parametrize("options", [
    {"activation_function": "swiglu"}, {"norm": "none", "tie_word_embeddings": False}], ids=str)
def test_whatever_is_damaged_in_a_model_of_other_settings_has_a_cause(tmp_path, options):
    rng = np.random.default_rng(0)
    config = GPT2Config.from_dict(tiny_config().to_dict() | options | {"n_layer": 1})
    tensors = read_pack(write_pack(tmp_path / "ours", config)).tensors
    own = {n.removeprefix("float64/"): a for n, a in tensors.items() if "float32" not in n}
    for name in own:
        if name.startswith(("activations", "dactivations", "grads")):
            noise = rng.standard_normal(own[name].shape)
            for theirs in (own[name] + noise, np.nan * noise, own[name][None]):
                cause, kinds = likely_cause(name, own, theirs, config)
                assert cause and len(kinds) == 1, (name, kinds)


def overwritten(t):
    lookup = np.zeros_like(t["params/wte.weight"])
    np.add.at(lookup, t["ids"], t["dactivations/embedding.token"])
    last = np.zeros_like(lookup)
    last[t["ids"]] = t["dactivations/embedding.token"]
    t["grads/wte.weight"] += last - lookup


def lookup_only(t):
    t["grads/wte.weight"][...] = 0
    np.add.at(t["grads/wte.weight"], t["ids"], t["dactivations/embedding.token"])


def without_residual_path(t):
    t["dactivations/h.1.residual_1"] -= t["dactivations/h.1.residual_2"]


def without_xhat(t):
    t["grads/ln_f.weight"] = t["dactivations/ln_f"].sum((0, 1))


def scale(name, factor):
    def damage(t):
        t[name] *= factor
    return damage


def replaced(name, function):
    def damage(t):
        t[name] = function(t[name])
    return damage


@pytest.mark.parametrize("damage, says", [
    (overwritten, "overwritten instead of added"),
    (lookup_only, "output matrix is missing"),
    (without_residual_path, "residual path is missing"),
    (without_xhat, "this is the gradient of the bias"),
    (scale("grads/ln_f.weight", 1 / 21), "mean over positions"),
    (replaced("activations/loss", lambda loss: loss.reshape(1) * 20), "a sum, not a mean"),
    (replaced("activations/logits", lambda x: x * (1 + 2e-9)), "the last digits alone"),
    (scale("grads/h.0.mlp.c_fc.weight", -1), "sign"),
    (scale("grads/h.0.mlp.c_fc.weight", 2), "factor of 2"),
    (scale("dactivations/logits", 20), "number of counted targets"),
    (scale("grads/h.1.ln_1.weight", 0.37), "0.37 times"),
    (scale("dactivations/h.1.residual_1", 0), "all zeros"),
    (replaced("grads/h.1.attn.c_proj.weight", np.transpose), "(out, in)"),
    (replaced("grads/h.0.mlp.c_fc.weight", lambda g: g.T.reshape(g.shape)), "(out, in)"),
    (replaced("grads/h.0.mlp.c_fc.bias", lambda g: g / 21), "mean over positions"),
    (replaced("dactivations/h.0.attn.mixed", lambda d: np.roll(d, 1, 1)), "shifted by one"),
])
def test_the_mistake_in_a_gradient_is_named(pack, tmp_path, damage, says):
    tensors = {n.partition("/")[2] if "/" in n else n: a.copy()
               for n, a in load_file(pack / "pack.safetensors").items()
               if not n.startswith("float32")}
    damage(tensors)
    result = compare(pack, tensors, tmp_path)
    assert not result.ok and says in result.cause, str(result)
