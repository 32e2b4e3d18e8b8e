from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from npgpt.weights import CheckpointError, load
from npgpt.weights.openai_tf import canonical
from npgpt.weights.sorted_table import read_table

GOLDEN = Path(__file__).parent.parent / "golden" / "openai_tf"
DATA = "model.ckpt.data-00000-of-00001"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "124M"))


def test_the_folder_the_index_and_tensorflows_own_name_are_the_same_model(folder: Path) -> None:
    config = load(folder)[0]
    assert load(folder / "model.ckpt.index")[0] == load(folder / "model.ckpt")[0] == config
    assert (config.n_layer, config.vocab_size, config.tie_word_embeddings) == (2, 13, True)


def test_names_are_translated() -> None:
    assert canonical("model/wte") == "wte.weight"
    assert canonical("model/h11/attn/c_attn/w") == "h.11.attn.c_attn.weight"
    assert canonical("model/ln_f/g") == "ln_f.weight"
    assert canonical("model/h0/ln_2/b") == "h.0.ln_2.bias"
    assert canonical("model/head/x") == "model/head/x"


def test_a_flipped_bit_of_the_tensors_is_noticed(folder: Path) -> None:
    data = (folder / DATA).read_bytes()
    # behind them lie an optimiser's slots, which are not read
    used = 4 * (13 * 6 + 8 * 6 + 12 + 2 * (12 * 36 + 13 * 6))
    first = len(data) - used - 4 * 13 * 6
    for at in range(first, first + used, 37):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        (folder / DATA).write_bytes(changed)
        with pytest.raises(CheckpointError, match="is damaged: model/.* fails its checksum"):
            load(folder)


def test_a_flipped_bit_of_the_index_is_noticed(folder: Path) -> None:
    index = folder / "model.ckpt.index"
    content, table = index.read_bytes(), read_table(folder / "model.ckpt.index")
    for at in range(0, len(content), 3):
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        index.write_bytes(changed)
        try:
            assert read_table(index) == table      # a byte that carries nothing: padding
        except CheckpointError as error:
            assert str(error).isprintable() and str(index) in str(error)


@pytest.mark.parametrize("name", ["", "model/wte"])
@pytest.mark.parametrize("value", [b"\x08", b"\xff" * 12, b"\x12\x7f", b"\x0b"])
def test_an_entry_that_is_sound_to_its_checksum_alone_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: bytes
) -> None:
    table = {**read_table(folder / "model.ckpt.index"), name: value}
    monkeypatch.setattr("npgpt.weights.openai_tf.read_table", lambda index: table)
    with pytest.raises(CheckpointError, match="model.ckpt.index: its entries cannot be read"):
        load(folder)


@pytest.mark.parametrize("change, message", [
    ({"n_head": 4}, "n_head=4 does not divide"), ({"n_layer": 3}, "missing: h.2.ln_1.weight"),
    ({"n_ctx": 9}, r"expected shape \(9, 6\), got \(8, 6\): wpe.weight"),
    ({"n_vocab": None}, "vocab_size=None must be a"),
])
def test_hparams_of_another_model_are_rejected(folder: Path, change: dict, message: str) -> None:
    values = {**json.loads((folder / "hparams.json").read_text()), **change}
    (folder / "hparams.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=message):
        load(folder)


def test_what_is_missing_is_named(folder: Path) -> None:
    (folder / DATA).rename(folder / "elsewhere")
    with pytest.raises(CheckpointError, match=f"{DATA}: does not exist"):
        load(folder)
    (folder / "elsewhere").rename(folder / DATA)
    (folder / "hparams.json").write_text('{"n_vocab": 13, "n_embd": 6}')
    with pytest.raises(CheckpointError, match="lacks n_ctx, n_head, n_layer"):
        load(folder)
    (folder / "hparams.json").unlink()
    with pytest.raises(CheckpointError, match="hparams.json: does not exist"):
        load(folder)
