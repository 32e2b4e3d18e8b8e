import struct

import numpy as np
import pytest

from benchmarks.gguf import q8_0, write_gguf
from npgpt import GPT2Config
from npgpt.params import init_params

CONFIG = GPT2Config(vocab_size=96, n_positions=16, n_embd=32, n_layer=2, n_head=4)


def text(data, at):
    [length] = struct.unpack_from("<Q", data, at)
    return data[at + 8:at + 8 + length].decode(), at + 8 + length


def tensors(data):
    """Name -> (shape as NumPy's, kind, where its bytes start)."""
    magic, version, count, keys = struct.unpack_from("<4sIQQ", data)
    assert (magic, version) == (b"GGUF", 3)
    at, found = 24, {}
    for _ in range(keys):
        _, at = text(data, at)
        [kind] = struct.unpack_from("<I", data, at)
        at = text(data, at + 4)[1] if kind == 8 else at + 8
    for _ in range(count):
        name, at = text(data, at)
        [n] = struct.unpack_from("<I", data, at)
        *shape, kind, offset = struct.unpack_from(f"<{n}QIQ", data, at + 4)
        at += 4 + 8 * n + 12
        found[name] = (tuple(shape[::-1]), kind, offset)
    start = -(-at // 32) * 32
    return {name: (shape, kind, start + offset) for name, (shape, kind, offset) in found.items()}


def test_float32_tensors_lie_where_the_file_says_and_linear_weights_are_transposed(tmp_path):
    write_gguf(tmp_path / "m.gguf", CONFIG, "f32")
    data, params = (tmp_path / "m.gguf").read_bytes(), init_params(CONFIG)
    found = tensors(data)
    # the tied output matrix is written under its own name too
    assert len(found) == len(params) + 1
    assert found["output.weight"][0] == found["token_embd.weight"][0]
    for theirs, expected in {
        "token_embd.weight": params["wte.weight"],
        "blk.1.attn_qkv.weight": params["h.1.attn.c_attn.weight"].T,
        "output_norm.bias": params["ln_f.bias"],
    }.items():
        shape, kind, at = found[theirs]
        assert (shape, kind) == (expected.shape, 0)
        stored = np.frombuffer(data, "<f4", expected.size, at).reshape(shape)
        np.testing.assert_array_equal(stored, expected)


def test_q8_0_keeps_every_number_within_half_a_step(tmp_path):
    numbers = np.random.default_rng(0).standard_normal((6, 64)).astype(np.float32)
    numbers[0, :32] = 0.0
    stored = q8_0(numbers)
    scale = stored["scale"].astype(np.float32)[:, None]
    # the scale itself is rounded to float16
    near = pytest.approx(numbers.reshape(-1, 32), abs=float(scale.max()) * 0.6)
    assert stored["values"] * scale == near
    write_gguf(tmp_path / "m.gguf", CONFIG, "q8_0")
    found = tensors((tmp_path / "m.gguf").read_bytes())
    assert found["blk.0.ffn_up.weight"][1] == 8
    assert found["position_embd.weight"][1] == found["blk.0.attn_norm.weight"][1] == 0
