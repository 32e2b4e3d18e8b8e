"""Comparing: agreement, missing tensors, other shapes and other precisions are reported."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from npgpt.packs import compare_packs, tiny_config, write_pack
from npgpt.weights import CheckpointError

pytestmark = pytest.mark.smoke


@pytest.fixture
def pack(tmp_path):
    return write_pack(tmp_path / "ours", tiny_config())


def changed(pack, tmp_path, change, only=""):
    tensors = {n: a for n, a in load_file(pack / "pack.safetensors").items() if n.startswith(only)}
    change(tensors)
    save_file(tensors, tmp_path / "theirs.safetensors")
    return tmp_path / "theirs.safetensors"


@pytest.mark.parametrize("only", ["", "float64", "float32"])
def test_equal_packs_agree(pack, tmp_path, only):
    result = compare_packs(pack, changed(pack, tmp_path, lambda t: None, only))
    assert result.ok and result.first is None and not result.missing
    assert result.precisions == ([only] if only else ["float64", "float32"])
    assert "all of them agree" in str(result)


def test_names_may_leave_out_the_precision(pack, tmp_path):
    tensors = {n.partition("/")[2]: a for n, a in load_file(pack / "pack.safetensors").items()
               if n.startswith("float32/")}
    save_file(tensors, tmp_path / "bare.safetensors")
    result = compare_packs(pack, tmp_path / "bare.safetensors")
    assert result.ok and result.precisions == ["float32"] and result.compared > 50


def test_the_first_difference_in_execution_order_is_reported_with_its_worst_element(pack, tmp_path):
    def damage(tensors):
        tensors["float64/activations/ln_f"] *= 2
        tensors["float64/activations/h.1.ln_2"][1, 2, 3] += 0.5
        tensors["float64/grads/wpe.weight"] *= 3

    result = compare_packs(pack, changed(pack, tmp_path, damage))
    assert result.first == "activations/h.1.ln_2" and "[1, 2, 3]" in result.message
    assert result.last_right == "activations/h.1.residual_1" and "unknown" in result.cause
    assert all(len(line) <= 80 for line in str(result).splitlines())


def test_missing_tensors_are_counted_and_named(pack, tmp_path):
    result = compare_packs(pack, changed(
        pack, tmp_path, lambda t: t.pop("float64/activations/h.0.attn.q"), "float64"))
    assert result.ok and result.missing == ["activations/h.0.attn.q"]
    assert "h.0.attn.q" in str(result)


def test_another_shape_is_reported_and_infinity_too(pack, tmp_path):
    def shape(tensors):
        tensors["float64/activations/logits"] = tensors["float64/activations/logits"][:1].copy()

    assert "(1, 7, 17)" in compare_packs(pack, changed(pack, tmp_path, shape)).message

    def infinite(tensors):
        tensors["float64/activations/h.0.attn.weights"][0, 0, 0, 1] = np.nan

    result = compare_packs(pack, changed(pack, tmp_path, infinite))
    assert "1 of 441" in result.message and "division by 0" in result.cause


@pytest.mark.parametrize("name, damage, first", [
    ("float64/params/wte.weight", lambda a: 2 * a, "params/wte.weight"),
    ("ids", lambda a: a[:, ::-1], "ids"),
    ("float32/grads/wte.weight", lambda a: 3 * a, "grads/wte.weight"),
    ("float32/greedy/ids", lambda a: 0 * a, "greedy/ids"),
])
def test_nothing_that_is_in_both_is_passed_over(pack, tmp_path, name, damage, first):
    def change(tensors):
        tensors[name] = np.array(damage(tensors[name]), order="C")

    result = compare_packs(pack, changed(pack, tmp_path, change))
    assert result.first == first and result.cause


@pytest.mark.parametrize("about", [
    '{"format": "npgpt-pack"}', '{"format": "npgpt-pack", "order": [3], "config": {}}'])
def test_a_damaged_pack_json_is_an_error(pack, tmp_path, about):
    (pack / "pack.json").write_text(about)
    with pytest.raises(CheckpointError, match="damaged"):
        compare_packs(pack, pack)


def test_what_cannot_be_compared_is_an_error(pack, tmp_path):
    save_file({"x": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="holds none"):
        compare_packs(pack, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="not a pack that npgpt wrote"):
        compare_packs(tmp_path / "other.safetensors", pack)
