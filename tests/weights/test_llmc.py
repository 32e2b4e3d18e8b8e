from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config
from npgpt.weights import CheckpointError, load, save_llmc, save_llmc_state

from .conftest import SMALL, assert_equal, filled

ORDER = ["ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias",
         "attn.c_proj.weight", "attn.c_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight",
         "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias"]


def laid_out(params: dict, rows: int = 128) -> np.ndarray:
    """The tensors as llm.c's Python script lays them out, for a vocabulary padded to `rows`."""
    wte = params["wte.weight"]
    parts = [np.concatenate([wte, np.zeros((rows - len(wte), wte.shape[1]), "f4")]),
             params["wpe.weight"]]
    for name in ORDER:
        stacked = np.stack([params[f"h.{i}.{name}"] for i in range(2)])
        parts.append(stacked.transpose(0, 2, 1) if stacked.ndim == 3 else stacked)
    parts += [params["ln_f.weight"], params["ln_f.bias"]]
    return np.concatenate([part.ravel() for part in parts])


def test_the_model_file_is_llmcs_byte_for_byte(tmp_path: Path, params) -> None:
    save_llmc(tmp_path / "m.bin", SMALL, params)
    content = (tmp_path / "m.bin").read_bytes()
    header = np.frombuffer(content[:1024], "<i4")
    assert header[:8].tolist() == [20240326, 3, 5, 13, 2, 2, 6, 128]
    assert not header[8:].any()
    np.testing.assert_array_equal(np.frombuffer(content[1024:], "<f4"), laid_out(params))


def test_a_model_file_comes_back_as_it_was(tmp_path: Path, params) -> None:
    save_llmc(tmp_path / "m.bin", SMALL, params)
    config, loaded = load(tmp_path / "m.bin")
    assert config == SMALL
    assert_equal(loaded, params)
    assert_equal(load(tmp_path)[1], params)


def test_a_model_larger_than_one_piece_comes_back_as_it_was(tmp_path: Path) -> None:
    config = SMALL.replace(vocab_size=2**20 // SMALL.n_embd + 100)
    params = filled(config)
    save_llmc(tmp_path / "new" / "folder" / "m.bin", config, params)
    assert_equal(load(tmp_path / "new" / "folder" / "m.bin")[1], params)


def test_a_model_file_in_bfloat16_is_widened(tmp_path: Path, params) -> None:
    header = np.zeros(256, "<i4")
    header[:8] = [20240326, 5, 5, 13, 2, 2, 6, 128]
    halves = (laid_out(params).view("<u4") >> 16).astype("<u2")
    (tmp_path / "m.bin").write_bytes(header.tobytes() + halves.tobytes())
    expected = {name: (np.ascontiguousarray(array).view("u4") & 0xFFFF0000).view("f4")
                for name, array in params.items()}
    assert_equal(load(tmp_path / "m.bin")[1], expected)


def test_the_debug_state_is_llmcs_byte_for_byte(tmp_path: Path, params) -> None:
    model = GPT2(SMALL, params)
    ids = np.arange(8).reshape(2, 4)
    targets = (ids + 3) % 13
    loss, grads = model.loss_and_grads(ids, targets)
    logits = model.logits(ids)
    save_llmc_state(tmp_path / "s.bin", SMALL, ids, targets, logits, loss, grads)
    content = (tmp_path / "s.bin").read_bytes()
    header = np.zeros(256, "<i4")
    header[:4] = [20240327, 2, 2, 4]
    expected = b"".join(
        [header.tobytes(), ids.astype("<i4").tobytes(), targets.astype("<i4").tobytes(),
         logits.astype("<f4").tobytes(), np.float32(loss).tobytes(), laid_out(grads).tobytes()]
    )
    assert content == expected


@pytest.mark.parametrize("place, value, message", [
    (0, 20240327, "got 20240327, llm.c's debug state"),
    (1, 2, "expected version 3 .float32. or 5 .bfloat16., got 2"),
    (2, 0, "n_positions=0 must be a"), (2, 6, "its header asks for"),
    (3, -5, "vocab_size=-5"), (3, 129, "pads a vocabulary of 129 to 128"),
    (4, 2**31 - 1, "n_layer=2147483647: expected at most 16384"),
    (4, 16000, "its header asks for"), (5, 4, "n_head=4 does not divide"),
    (6, 2**31 - 1, "n_embd=2147483647"), (6, 2**20, "its header asks for"),
    (7, 2**31 - 1, "its header asks for"), (7, 12, "pads a vocabulary of 13 to 12"),
])
def test_a_forged_header_is_rejected(
    tmp_path: Path, params, place: int, value: int, message: str
) -> None:
    save_llmc(tmp_path / "m.bin", SMALL, params)
    content = bytearray((tmp_path / "m.bin").read_bytes())
    content[4 * place:4 * place + 4] = np.array(value, "<i4").tobytes()
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / "m.bin")


@pytest.mark.parametrize("change, message", [
    ({"activation_function": "gelu"}, "activation_function=gelu .llm.c: gelu_new"),
    ({"tie_word_embeddings": False}, "tie_word_embeddings=False"), ({"n_inner": 10}, "n_inner=10"),
    ({"qkv_bias": False, "final_norm": False}, "final_norm=False .* qkv_bias=False"),
    ({"frozen_biases": True, "weight_norm": True}, "frozen_biases=True .* weight_norm=True"),
    ({"lora_rank": 2}, "lora_rank=2 .llm.c: 0"),
])
def test_a_model_that_llmc_does_not_have_is_not_written(
    tmp_path: Path, change: dict, message: str
) -> None:
    config: GPT2Config = SMALL.replace(**change)
    with pytest.raises(ValueError, match=message):
        save_llmc(tmp_path / "m.bin", config, filled(config))
    assert list(tmp_path.iterdir()) == []
