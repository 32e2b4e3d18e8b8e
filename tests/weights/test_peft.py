"""Adapters under PEFT's names: peft's own is read here, ours is what peft reads.

tests/golden/test_finetune.py compares the numbers with those of peft.
"""

import json
import math

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config, weights
from npgpt.params import init_params
from npgpt.variants import merged
from npgpt.weights import CheckpointError
from npgpt.weights.peft import save_adapter
from npgpt.weights.safetensors_file import read_arrays

BASE = GPT2Config(vocab_size=11, n_positions=5, n_embd=8, n_layer=2, n_head=4)


@pytest.fixture
def adapter(tmp_path):
    """A base model, and a folder with an adapter for it; its config and parameters."""
    config = BASE.replace(lora_rank=2, lora_alpha=3.0, lora_on="c_attn,mlp.c_proj")
    rng = np.random.default_rng(0)
    params = {name: (array + rng.standard_normal(array.shape)).astype(np.float32)
              for name, array in init_params(config).items()}
    weights.save(tmp_path / "base", BASE, {n: a for n, a in params.items() if ".lora_" not in n})
    (tmp_path / "adapter").mkdir()
    save_adapter(tmp_path / "adapter", config, params, str(tmp_path / "base"))
    return tmp_path / "adapter", config, params


def changed(folder, **values):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


def test_an_adapter_is_read_back_with_its_base(adapter):
    folder, config, params = adapter
    found, theirs = weights.load(folder)
    assert found == config and theirs.keys() == params.keys()
    for name, array in params.items():
        np.testing.assert_array_equal(theirs[name], array)
    assert weights.load(folder, "float64")[1]["h.0.attn.c_attn.lora_A"].dtype == np.float64


def test_the_names_and_shapes_are_pefts(adapter):
    tensors = read_arrays(adapter[0] / "adapter_model.safetensors")
    stem = "base_model.model.transformer.h.1.mlp.c_proj"
    assert len(tensors) == 8
    assert tensors[f"{stem}.lora_A.weight"].shape == (2, 32)
    assert tensors[f"{stem}.lora_B.weight"].shape == (8, 2)


def test_merged_weights_compute_the_same(adapter, tmp_path):
    folder, config, params = adapter
    plain, folded = merged(params, config)
    assert plain == BASE
    ids = np.array([[1, 2, 3, 1]])
    wanted = GPT2(config, params).logits(ids)
    np.testing.assert_allclose(GPT2(plain, folded).logits(ids), wanted, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="--merge folds them into"):
        weights.convert(folder, tmp_path / "out")
    assert weights.convert(folder, tmp_path / "out", merge=True) == BASE
    np.testing.assert_allclose(GPT2.load(tmp_path / "out").logits(ids), wanted, atol=1e-4)
    GPT2(config, params).save(tmp_path / "saved", merge=True)
    np.testing.assert_allclose(GPT2.load(tmp_path / "saved").logits(ids), wanted, atol=1e-4)
    with pytest.raises(ValueError, match="has no low-rank updates to merge"):
        weights.convert(tmp_path / "base", tmp_path / "out2", merge=True)


def test_rank_stabilised_updates_have_their_own_scale(adapter):
    folder, config, _ = adapter
    assert weights.load(changed(folder, use_rslora=True))[0].lora_scale == pytest.approx(
        3.0 / math.sqrt(2))


@pytest.mark.parametrize("values, message", [
    ({"peft_type": "LOHA"}, "peft_type='LOHA' is not supported, only 'LORA' is"),
    ({"use_dora": True}, "use_dora=True is not supported"),
    ({"bias": "all"}, "bias='all' is not supported, only 'none' is"),
    ({"rank_pattern": {"c_attn": 4}}, "rank_pattern"),
    ({"init_lora_weights": "pissa"}, "init_lora_weights='pissa'"),
    ({"something_new": 3}, "something_new='3'|something_new=3 is not supported"),
    ({"target_modules": ["wte"]}, "target_modules: unknown name 'wte'"),
    ({"target_modules": ["c_attn"]},
     "does not fit adapter_config.json and its base model .*base; unknown: .*mlp.c_proj.lora_A"),
    ({"modules_to_save": ["wte"]}, "modules_to_save"), ({"r": 0}, "r: expected an integer"),
    ({"r": 3}, "expected shape"), ({"lora_alpha": "16"}, "lora_alpha: expected a number"),
    ({"base_model_name_or_path": None}, "base_model_name_or_path: expected"),
    ({"base_model_name_or_path": "/nowhere/at/all"}, "its base model .* cannot be read"),
])
def test_what_is_not_plain_lora_is_rejected_by_name(adapter, values, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        weights.load(changed(adapter[0], **values))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values, layers", [
    ({"target_modules": r".*(c_attn|mlp\.c_proj)"}, 2), ({"exclude_modules": ["attn.c_proj"]}, 2),
    ({"target_modules": "all-linear"}, 2), ({"layers_to_transform": 0}, 1),
    ({"layers_to_transform": [0], "layers_pattern": "h"}, 1),
])
def test_patterns_and_chosen_layers_are_what_the_tensors_say(adapter, values, layers):
    folder, config, params = adapter
    if layers == 1:
        config = config.replace(lora_on="h.0.attn.c_attn,h.0.mlp.c_proj")
        params = {name: a for name, a in params.items() if ".lora_" not in name or "h.0." in name}
        save_adapter(folder, config, params, str(folder.parent / "base"))
    found, theirs = weights.load(changed(folder, **values))
    assert theirs.keys() == params.keys()
    assert found.lora_on == (config.lora_on if layers == 1 else "attn.c_attn,mlp.c_proj")


def test_what_peft_writes_beside_and_changes_nothing_is_read(adapter):
    also = {"lora_dropout": 0.1, "use_dora": False, "peft_version": "0.21.2", "eva_config": None,
            "alpha_pattern": {}, "megatron_core": "megatron.core", "qalora_group_size": 16}
    assert weights.load(changed(adapter[0], **also))[0] == adapter[1]


def test_a_base_that_has_moved_is_named_and_what_is_no_adapter_has_none(adapter, tmp_path):
    folder, config, params = adapter
    (tmp_path / "base").rename(tmp_path / "moved")
    with pytest.raises(CheckpointError, match=r"base model .* cannot be read; name its place with "
                                              r"--base, in Python base=: .*no such file"):
        weights.load(folder)
    model = GPT2.load(folder, base=tmp_path / "moved")
    assert model.config == config and model.base == str(tmp_path / "moved")
    np.testing.assert_array_equal(model.params["wte.weight"], params["wte.weight"])
    with pytest.raises(ValueError, match="moved.model.safetensors is not an adapter"):
        GPT2.load(tmp_path / "moved", base=tmp_path / "moved")
    with pytest.raises(CheckpointError, match="cannot be read"):    # not even its own base
        GPT2.load(folder, base=folder)


def test_a_model_with_updates_is_saved_as_pefts_two_files_with_its_base(
    adapter, tmp_path, monkeypatch
):
    folder, config, params = adapter
    model = GPT2.load(folder)
    model.save(tmp_path / "again")
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "again" / file).read_bytes() == (folder / file).read_bytes()
    assert len(list((tmp_path / "again").iterdir())) == 2
    model.save(tmp_path / "merged", merge=True)
    ids = np.arange(5)
    for place in ("again", "merged"):
        np.testing.assert_allclose(GPT2.load(tmp_path / place).logits(ids), model.logits(ids),
                                   atol=1e-5)
    # a model of parameters alone does not know where its base is; a relative place is made lasting
    alone = GPT2(config, params)
    with pytest.raises(ValueError, match="merge=True folds them into the weights; base= names"):
        alone.save(tmp_path / "alone")
    monkeypatch.chdir(tmp_path)
    alone.save("alone", base="base")
    assert GPT2.load("alone").base == str(tmp_path / "base")
    with pytest.raises(ValueError, match="name a folder"):
        alone.save("alone.safetensors", base="base")
    with pytest.raises(ValueError, match="no low-rank updates"):
        weights.save_peft("x", BASE, {n: a for n, a in params.items() if ".lora_" not in n}, "base")


def test_updates_are_converted_to_an_adapter_and_to_npgpts_own_folder_and_back(adapter, tmp_path):
    folder, config, params = adapter
    weights.convert(folder, tmp_path / "own", "npgpt")
    with pytest.raises(ValueError, match="own does not say which model .* --base"):
        weights.convert(tmp_path / "own", tmp_path / "back", "peft")
    weights.convert(tmp_path / "own", tmp_path / "back", "peft", base=tmp_path / "base")
    found, theirs = weights.load(tmp_path / "back")
    assert found == config
    for name, array in params.items():
        np.testing.assert_array_equal(theirs[name], array)
    for how, message in (({"to": "hf"}, "--to peft writes them as PEFT's adapter"),
                         ({"to": "peft", "merge": True}, "an adapter is not merged")):
        with pytest.raises(ValueError, match=message):
            weights.convert(folder, tmp_path / "x", **how)
    with pytest.raises(ValueError, match="is what .* is read from"):
        weights.convert(folder, folder, "peft")
    for base in (None, "gpt2"):
        with pytest.raises(ValueError, match="base has no low-rank updates, and an adapter"):
            weights.convert(tmp_path / "base", tmp_path / "x", "peft", base=base)
