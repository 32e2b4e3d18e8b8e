from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from npgpt import GPT2Config
from npgpt.config import SIZES
from npgpt.weights import CheckpointError, load, save_book
from npgpt.weights.book import book_names

from .conftest import SMALL, assert_equal, filled


def books_own(params: dict, config: GPT2Config) -> dict[str, np.ndarray]:
    """What torch would save for the book's model, written out module by module."""
    c = config.n_embd
    found = {
        "tok_emb.weight": params["wte.weight"], "pos_emb.weight": params["wpe.weight"],
        "final_norm.scale": params["ln_f.weight"], "final_norm.shift": params["ln_f.bias"],
        "out_head.weight": params.get("lm_head.weight", params["wte.weight"]),
    }
    for i in range(config.n_layer):
        h, block = f"h.{i}", f"trf_blocks.{i}"
        qkv = params[f"{h}.attn.c_attn.weight"]
        for j, name in enumerate(("W_query", "W_key", "W_value")):
            found[f"{block}.att.{name}.weight"] = qkv[:, j * c:(j + 1) * c].T
            if config.qkv_bias:
                bias = params[f"{h}.attn.c_attn.bias"]
                found[f"{block}.att.{name}.bias"] = bias[j * c:(j + 1) * c]
        for theirs, ours in (("att.out_proj", "attn.c_proj"), ("ff.layers.0", "mlp.c_fc"),
                             ("ff.layers.2", "mlp.c_proj")):
            found[f"{block}.{theirs}.weight"] = params[f"{h}.{ours}.weight"].T
            found[f"{block}.{theirs}.bias"] = params[f"{h}.{ours}.bias"]
        for n in (1, 2):
            found[f"{block}.norm{n}.scale"] = params[f"{h}.ln_{n}.weight"]
            found[f"{block}.norm{n}.shift"] = params[f"{h}.ln_{n}.bias"]
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


CONFIGS = [SMALL, SMALL.replace(tie_word_embeddings=False, qkv_bias=False)]


@pytest.mark.parametrize("config", CONFIGS)
def test_the_books_names_layout_and_keys_are_written_and_read(
    tmp_path: Path, config: GPT2Config
) -> None:
    params = filled(config)
    save_book(tmp_path / "b", config, params)
    written, expected = load_file(tmp_path / "b" / "model.safetensors"), books_own(params, config)
    assert set(written) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(written[name], array, err_msg=name)
    keys = json.loads((tmp_path / "b" / "config.json").read_text())
    assert keys["emb_dim"] == 6 and keys["context_length"] == 5 and keys["drop_rate"] == 0.1
    loaded_config, loaded = load(tmp_path / "b")
    assert loaded_config == config
    assert_equal(loaded, params)


def test_a_file_of_the_readers_own_with_masks_is_read(tmp_path: Path, params) -> None:
    tensors = books_own(params, SMALL)
    mask = np.triu(np.ones((5, 5), "f4"), 1)
    tensors.update({f"trf_blocks.{i}.att.mask": mask for i in range(2)})
    save_file(tensors, tmp_path / "mine.safetensors")
    keys = {"vocab_size": 13, "context_length": 5, "emb_dim": 6, "n_heads": 2, "n_layers": 2,
            "drop_rate": 0.0, "qkv_bias": True}
    (tmp_path / "config.json").write_text(json.dumps(keys))
    config, loaded = load(tmp_path / "mine.safetensors")
    assert config == SMALL.replace(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    assert_equal(loaded, params)
    del keys["n_heads"], keys["emb_dim"]
    (tmp_path / "config.json").write_text(json.dumps(keys))
    with pytest.raises(CheckpointError, match="lacks the book's keys emb_dim, n_heads"):
        load(tmp_path)


@pytest.mark.parametrize("config", CONFIGS)
def test_weights_of_a_published_size_need_no_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: GPT2Config
) -> None:
    params = filled(config)
    save_file(books_own(params, config), tmp_path / "small.safetensors")
    with pytest.raises(CheckpointError, match="do not show n_head; place one there"):
        load(tmp_path)
    monkeypatch.setitem(SIZES, "tiny", {"n_layer": 2, "n_head": 2, "n_embd": 6})
    assert load(tmp_path)[0] == config
    assert_equal(load(tmp_path)[1], params)


@pytest.mark.parametrize("change, message", [
    ({"activation_function": "relu"}, "activation_function=relu"),
    ({"layer_norm_epsilon": 1e-3}, "layer_norm_epsilon=0.001"),
    ({"n_inner": 10}, "n_inner=10"), ({"norm": "none"}, "norm=none"),
    ({"frozen_biases": True}, "frozen_biases=True"), ({"weight_norm": True}, "weight_norm=True"),
    ({"embd_pdrop": 0.2}, "three different dropout rates"), ({"lora_rank": 2}, "lora_rank=2"),
    ({"residual": False}, "residual=False"),
])
def test_a_model_that_the_book_does_not_have_is_not_written(
    tmp_path: Path, change: dict, message: str
) -> None:
    config = SMALL.replace(**change)
    with pytest.raises(ValueError, match=message):
        save_book(tmp_path / "b", config, filled(config))
    assert not (tmp_path / "b").exists()


def test_a_missing_third_and_thirds_that_do_not_fit_are_named(tmp_path: Path, params) -> None:
    save_book(tmp_path, SMALL, params)
    tensors = load_file(tmp_path / "model.safetensors")
    key = tensors.pop("trf_blocks.1.att.W_key.weight")
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="missing: trf_blocks.1.att.W_key.weight$"):
        load(tmp_path)
    save_file({**tensors, "trf_blocks.1.att.W_key.weight": key[:, :3].copy()},
              tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"expected shape \(6, 6\), got \(6, 3\)"):
        load(tmp_path)


def test_all_that_is_missing_or_too_much_is_named_at_once(tmp_path: Path, params) -> None:
    save_book(tmp_path, SMALL, params)
    tensors = load_file(tmp_path / "model.safetensors")
    for name in ("trf_blocks.0.att.W_key.weight", "trf_blocks.1.att.W_key.weight",
                 "trf_blocks.1.att.W_query.bias", "final_norm.shift"):
        del tensors[name]
    tensors["trf_blocks.0.att.W_value.bias"] = np.zeros((2, 3), "f4")
    tensors["core.weight"] = np.zeros(2, "f4")
    tensors["trf_blocks.7.att.W_key.weight"] = np.zeros((6, 6), "f4")
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path)
    for part in (
        "missing: trf_blocks.{0-1}.att.W_key.weight, trf_blocks.1.att.W_query.bias, "
        "final_norm.shift; unknown: core.weight, trf_blocks.7.att.W_key.weight",
        "expected shape (6,), got (2, 3): trf_blocks.0.att.W_value.bias",
    ):
        assert part in str(caught.value)


def test_matrices_that_are_not_transposed_are_named_as_such(tmp_path: Path, params) -> None:
    save_book(tmp_path, SMALL, params)
    tensors = load_file(tmp_path / "model.safetensors")
    for name in tensors:
        if name.startswith("trf_blocks.") and tensors[name].ndim == 2:
            tensors[name] = np.ascontiguousarray(tensors[name].T)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path)
    names = ", ".join("trf_blocks.{0-1}.ff.layers." + f"{i}.weight" for i in (0, 2))
    assert (f"transposed, expected linear weights as (out, in): {names}; square, so probably "
            "transposed too: trf_blocks.{0-1}.att.W_query.weight") in str(caught.value)


@pytest.mark.parametrize("name", ["h.0.mlp.slope", "h.0.attn.other.weight", "extra"])
def test_a_name_that_the_book_does_not_have_stays_ours(name: str) -> None:
    assert book_names(name) == [name]
