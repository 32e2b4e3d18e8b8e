"""A pack holds what it promises, loads again, and is rejected if it is not one."""

import json

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config
from npgpt.packs import read_pack, tiny_config, write_pack
from npgpt.weights import CheckpointError

pytestmark = pytest.mark.smoke


def test_a_pack_is_a_model_with_everything_it_computes(tmp_path):
    pack = read_pack(write_pack(tmp_path / "pack", tiny_config()))
    config = GPT2Config.from_dict(pack.about["config"])
    for precision in ("float64", "float32"):
        params = {n.split("/", 2)[2]: a for n, a in pack.tensors.items()
                  if n.startswith(f"{precision}/params/")}
        model = GPT2(config, params)
        assert all(a.dtype == precision for a in params.values())
        loss, grads = model.loss_and_grads(pack.tensors["ids"], pack.tensors["targets"])
        assert loss == pytest.approx(float(pack.tensors[f"{precision}/activations/loss"]), rel=1e-5)
        for name, grad in grads.items():
            np.testing.assert_allclose(
                grad, pack.tensors[f"{precision}/grads/{name}"], rtol=1e-3, atol=1e-5)
        greedy = model.generate(pack.tensors["ids"][0], 6, temperature=0)
        np.testing.assert_array_equal(pack.tensors[f"{precision}/greedy/ids"], greedy)


def test_every_tensor_of_the_order_is_there_in_both_precisions_with_a_tolerance(tmp_path):
    pack = read_pack(write_pack(tmp_path, tiny_config()))
    for precision, tolerances in pack.about["tolerances"].items():
        assert list(tolerances) == pack.about["order"]
        assert all(f"{precision}/{name}" in pack.tensors for name in tolerances)
        assert all(0 < tolerance < 1e-2 for tolerance in tolerances.values())
    kinds = [name.split("/")[0] for name in pack.about["order"]]
    assert kinds == sorted(kinds, key=["activations", "dactivations", "grads"].index)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_pack(tmp_path / name, tiny_config(), seed=3)
    for file in ("pack.safetensors", "pack.json", "pack.md"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_what_is_not_a_pack_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        read_pack(tmp_path / "none")
    (tmp_path / "pack.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="not a sound safetensors"):
        read_pack(tmp_path)
    folder = write_pack(tmp_path / "p", tiny_config())
    (folder / "pack.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        read_pack(folder)
    (folder / "pack.json").write_text(json.dumps([1]))
    with pytest.raises(CheckpointError, match="not a JSON object"):
        read_pack(folder)


def test_a_context_of_one_position_is_rejected(tmp_path):
    with pytest.raises(ValueError, match="at least 2"):
        write_pack(tmp_path, GPT2Config(n_positions=1, n_embd=4, n_head=2, n_layer=1))


def test_the_page_names_every_kind_of_tensor(tmp_path):
    page = (write_pack(tmp_path, tiny_config()) / "pack.md").read_text()
    for kind in ("params", "activations", "dactivations", "grads", "greedy/ids"):
        assert f"`PRECISION/{kind}" in page
