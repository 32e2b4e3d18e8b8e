from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from npgpt import GPT2Config
from npgpt.params import parameter_shapes
from npgpt.weights import CheckpointError, load, save
from npgpt.weights.configs import write_config

from .conftest import SMALL, assert_equal, filled
from .raw import write_raw, write_zeros

UNTIED = SMALL.replace(tie_word_embeddings=False)


def folder_with(path: Path, tensors: dict, config: GPT2Config = SMALL, **changes: Any) -> Path:
    write_raw(path / "model.safetensors", tensors, modulo=0)
    values = {"model_type": "gpt2", **config.to_dict(), "summary_type": "cls_index", **changes}
    (path / "config.json").write_text(json.dumps(values))
    return path


def masks(prefix: str = "") -> dict[str, np.ndarray]:
    mask = np.tril(np.ones((1, 1, 5, 5), "f4"))
    names = [f"{prefix}h.{i}.attn." for i in range(2)]
    return {**{f"{name}bias": mask for name in names},
            **{f"{name}masked_bias": np.array(-1e4, "f4") for name in names}}


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_names_with_and_without_prefix_and_mask_buffers_are_read(
    tmp_path: Path, params, prefix: str
) -> None:
    tensors = {prefix + name: array for name, array in params.items()}
    config, loaded = load(folder_with(tmp_path, {**tensors, **masks(prefix)}))
    assert config == SMALL
    assert_equal(loaded, params)


def test_a_tied_model_may_bring_its_output_matrix_along(tmp_path: Path, params) -> None:
    both = {**params, "lm_head.weight": params["wte.weight"].copy()}
    config, loaded = load(folder_with(tmp_path, both))
    assert config.tie_word_embeddings
    assert_equal(loaded, params)


def test_an_output_matrix_that_differs_from_the_tied_table_is_not_chosen_silently(
    tmp_path: Path, params
) -> None:
    both = {**params, "lm_head.weight": params["wte.weight"] + 1}
    with pytest.raises(CheckpointError, match="set tie_word_embeddings to false"):
        load(folder_with(tmp_path, both))
    loaded = load(folder_with(tmp_path, both, tie_word_embeddings=False))[1]
    assert_equal(loaded, both)


@pytest.mark.parametrize("config", [
    SMALL, UNTIED, SMALL.replace(n_inner=9, activation_function="relu"),
    SMALL.replace(norm="none", final_norm=False, qkv_bias=False, activation_function="swiglu"),
    SMALL.replace(activation_function="leaky_relu", layer_norm_epsilon=1e-3, residual=False),
    SMALL.replace(activation_function="leaky_relu", leaky_slope="shared", slope_init=-0.5),
    SMALL.replace(activation_function="leaky_relu", leaky_slope="fixed", slope_init=0.25),
    SMALL.replace(activation_function="identity", frozen_biases=True, weight_norm=True,
                  entropy_penalty=1e-5),
])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_every_architecture_comes_back_as_it_was_saved(
    tmp_path: Path, config: GPT2Config, dtype: str
) -> None:
    params = filled(config, dtype=dtype)
    save(tmp_path / "new" / "m", config, params)
    loaded_config, loaded = load(tmp_path / "new" / "m")
    assert loaded_config == config
    assert_equal(loaded, params)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_widened(tmp_path: Path, params, dtype: str) -> None:
    if dtype == "float16":
        halves = {name: array.astype("f2") for name, array in params.items()}
        expected = {name: array.astype("f4") for name, array in halves.items()}
    else:
        halves = {name: (array.view("u4") >> 16).astype("u2") for name, array in params.items()}
        expected = {name: (a.astype("u4") << 16).view("f4") for name, a in halves.items()}
    assert_equal(load(folder_with(tmp_path, halves))[1], expected)


def sharded(path: Path, params: dict, **changes: Any) -> Path:
    names = list(params)
    where = {}
    for i in range(3):
        shard = f"model-0000{i + 1}-of-00003.safetensors"
        part = {name: params[name] for name in names[i::3]}
        write_raw(path / shard, part)
        where.update({name: shard for name in part})
    index = {"metadata": {"total_size": 1}, "weight_map": {**where, **changes}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    write_config(path / "config.json", SMALL)
    return path


def test_shards_with_an_index_are_one_model(tmp_path: Path, params) -> None:
    assert_equal(load(sharded(tmp_path, params))[1], params)
    assert_equal(load(tmp_path / "model.safetensors.index.json")[1], params)


@pytest.mark.parametrize("shard", [
    "../secret.safetensors", "/etc/passwd", "sub/x.safetensors", "..\\x.safetensors", "..", "",
    "x.bin", "a\0b.safetensors", 3, None, True, ["x.safetensors"], {"a": 1},
])
def test_an_index_cannot_point_outside_its_folder(tmp_path: Path, params, shard: Any) -> None:
    write_raw(tmp_path / "secret.safetensors", {"wpe.weight": params["wpe.weight"]})
    sharded(tmp_path / "m", params, **{"wpe.weight": shard})
    # not one shard is opened for it
    (tmp_path / "m" / "model-00001-of-00003.safetensors").write_bytes(b"no safetensors")
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path / "m")
    given = repr(shard).replace("\0", " ")
    assert str(caught.value) == (
        f"{tmp_path / 'm' / 'model.safetensors.index.json'}: places wpe.weight in {given}, "
        "which is not a .safetensors file beside it"
    )


def test_all_entries_that_point_outside_are_named_at_once(tmp_path: Path, params) -> None:
    sharded(tmp_path, params, **{"wpe.weight": 3, "h.0.ln_1.bias": "../a", "h.1.ln_1.bias": "../a"})
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path)
    assert "places wpe.weight in 3, which" in str(caught.value)
    assert "places h.{0-1}.ln_1.bias in '../a', which" in str(caught.value)


def test_a_shard_that_is_missing_or_holds_other_tensors_is_named(tmp_path: Path, params) -> None:
    sharded(tmp_path, params, **{"wpe.weight": "model-00009-of-00003.safetensors"})
    with pytest.raises(CheckpointError, match="model-00009-of-00003.safetensors, which does not"):
        load(tmp_path)
    sharded(tmp_path, params, **{"wte.weight": "model-00002-of-00003.safetensors"})
    with pytest.raises(CheckpointError, match=r"wte\.weight"):
        load(tmp_path)


@pytest.mark.parametrize("changes, message", [
    ({"model_type": "llama"}, "model_type: expected 'gpt2', got 'llama'"),
    ({"add_cross_attention": True}, "add_cross_attention=True is not supported, only False is"),
    ({"rotary": True}, "unknown key rotary=True: npgpt does not have what it asks for"),
    ({"rotary": 1, "pruned_heads": {"0": [1]}}, "keys rotary=1, pruned_heads={'0': "),
    ({"quantization_config": {"bits": 8}}, "unknown key quantization_config={'bits': 8}: npgpt"),
    ({"scale_attn_weights": "yes"}, "scale_attn_weights='yes' must be true or false"),
    ({"activation_function": "mish"}, "activation_function='mish' is unknown"),
    ({"n_head": 4}, "n_head=4 does not divide n_embd=6"),
    ({"n_layer": "2"}, "n_layer='2' must be a"),
    ({"n_layer": 10**9}, "n_layer=1000000000: expected at most 16384"),
    ({"n_embd": 10**12}, "n_embd=1000000000000: expected at most 1048576"),
    ({"vocab_size": 10**30}, "expected at most 2147483648"),
    ({"layer_norm_epsilon": None}, "layer_norm_epsilon=None must be a number"),
])
def test_a_config_that_describes_another_model_is_rejected(
    tmp_path: Path, params, changes: dict, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        load(folder_with(tmp_path, params, **changes))
    assert "config.json" in str(caught.value)


def test_another_name_of_the_same_activation_is_understood(tmp_path: Path, params) -> None:
    folder_with(tmp_path, params, activation_function="gelu_pytorch_tanh")
    assert load(tmp_path)[0].activation_function == "gelu_new"


def test_missing_extra_misshapen_and_mistyped_tensors_are_all_named_at_once(
    tmp_path: Path, params
) -> None:
    bad: dict[str, np.ndarray] = dict(params)
    for name in ("h.0.ln_1.bias", "h.1.ln_1.bias", "ln_f.weight"):
        del bad[name]
    bad["h.1.mlp.c_fc.weight"] = np.zeros((6, 23), "f4")
    bad["wpe.weight"] = np.zeros((5, 6), "i8")
    bad["core.weight"] = np.zeros(2, "f4")
    with pytest.raises(CheckpointError) as caught:
        load(folder_with(tmp_path, bad))
    for part in (
        "missing: h.{0-1}.ln_1.bias, ln_f.weight", "unknown: core.weight",
        "expected shape (6, 24), got (6, 23): h.1.mlp.c_fc.weight",
        "expected dtype F16, BF16, F32, F64, got I64: wpe.weight",
    ):
        assert part in str(caught.value)


def test_transposed_linear_weights_are_recognised(tmp_path: Path, params) -> None:
    flipped = {
        name: array.T.copy() if ".c_" in name and array.ndim == 2 else array
        for name, array in params.items()
    }
    with pytest.raises(CheckpointError) as caught:
        load(folder_with(tmp_path, flipped))
    assert ("transposed, expected linear weights as (in, out): h.{0-1}.attn.c_attn.weight, "
            "h.{0-1}.mlp.c_fc.weight, h.{0-1}.mlp.c_proj.weight; square, so probably transposed "
            "too: h.{0-1}.attn.c_proj.weight") in str(caught.value)


def test_the_same_tensor_under_two_names_is_rejected(tmp_path: Path, params) -> None:
    twice = {**params, "transformer.wpe.weight": params["wpe.weight"]}
    with pytest.raises(CheckpointError, match="has wpe.weight twice"):
        load(folder_with(tmp_path, twice))


def test_without_a_config_a_published_size_is_recognised_and_another_is_not(
    tmp_path: Path, params
) -> None:
    config = GPT2Config.named("gpt2-xl", vocab_size=3, n_positions=2)
    write_zeros(tmp_path / "one" / "model.safetensors", parameter_shapes(config))
    assert load(tmp_path / "one")[0] == config
    write_raw(tmp_path / "two" / "model.safetensors", params)
    with pytest.raises(CheckpointError, match="do not show n_head"):
        load(tmp_path / "two")


def test_the_names_written_are_those_of_transformers(tmp_path: Path) -> None:
    save(tmp_path / "m", UNTIED, filled(UNTIED))
    names = set(load_file(tmp_path / "m" / "model.safetensors"))
    assert {"transformer.wte.weight", "transformer.h.1.mlp.c_proj.bias", "lm_head.weight"} <= names
    assert all(name == "lm_head.weight" or name.startswith("transformer.") for name in names)
