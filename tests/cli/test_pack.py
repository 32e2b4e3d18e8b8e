"""npgpt pack: written, compared, rejected."""

import json

import pytest
from safetensors.numpy import load_file, save_file


def test_a_pack_is_written_and_agrees_with_itself(npgpt):
    code, out, _ = npgpt("pack", "tiny", "ours")
    assert code == 0 and all(name in out for name in ("pack.safetensors", "pack.json", "pack.md"))
    code, out, _ = npgpt("pack", "--compare", "ours", "ours")
    assert code == 0 and "all of them agree" in out


def test_a_difference_exits_1_and_is_named(npgpt):
    npgpt("pack", "tiny", "ours")
    tensors = load_file("ours/pack.safetensors")
    tensors["float64/activations/h.0.mlp.act"] *= -1
    save_file(tensors, "theirs.safetensors")
    code, out, _ = npgpt("pack", "--compare", "ours", "theirs.safetensors")
    assert code == 1 and "first difference: activations/h.0.mlp.act" in out and "sign" in out


def test_a_pack_of_ones_own_config(npgpt, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(
        {"vocab_size": 9, "n_positions": 5, "n_embd": 8, "n_layer": 1, "n_head": 2,
         "activation_function": "swiglu", "norm": "none"}))
    code, out, err = npgpt("pack", "config.json", "ours")
    assert code == 0, err
    assert npgpt("pack", "--compare", "ours", "ours")[0] == 0


def test_a_packs_tensors_are_listed_in_the_order_of_execution(npgpt):
    npgpt("pack", "tiny", "ours")
    code, out, _ = npgpt("pack", "--list", "ours")
    names = [line.split()[-1] for line in out.splitlines()]
    assert code == 0 and names[0] == "ids" and names[-1] == "greedy/ids"
    assert names.index("activations/h.0.ln_1") < names.index("activations/loss")
    assert "(3, 7, 12)     activations/h.0.ln_1" in out


@pytest.mark.parametrize("language, says", [("c", "pack_open"), ("js", "export function read")])
def test_a_reader_is_printed(npgpt, language, says):
    code, out, _ = npgpt("pack", "--reader", language)
    assert code == 0 and says in out


@pytest.mark.parametrize("arguments, code, says", [
    (["tiny"], 2, "expected CONFIG OUT, got tiny"),
    (["--list"], 2, "expected --list PACK"),
    (["--list", "a", "b"], 2, "expected --list PACK"),
    (["--list", "none"], 3, "none"),
    (["--reader", "rust"], 2, "'rust'"),
    (["gpt2", "out"], 2, "tiny"),
    (["big.json", "out"], 2, "124,439,808"),
    (["bad.json", "out"], 3, "JSON"),
    (["missing.json", "out"], 3, "missing.json"),
    (["tiny", "big.json"], 2, "big.json is not a folder"),
    (["--compare", "a", "b"], 3, "no such file"),
])
def test_mistakes_are_one_line(npgpt, tmp_path, arguments, code, says):
    (tmp_path / "big.json").write_text('{"n_head": 12}')
    (tmp_path / "bad.json").write_text("{")
    got, _, err = npgpt("pack", *arguments)
    assert (got, err.count("\n")) == (code, 1) and says in err
