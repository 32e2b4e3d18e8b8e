from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from npgpt import GPT2Config
from npgpt.weights import load, save
from npgpt.weights.configs import write_config
from npgpt.weights.stored import MappedFile, same, transposed

from .conftest import assert_equal, filled
from .raw import write_raw


def test_writing_into_a_loaded_parameter_leaves_the_file_and_later_loads_alone(
    tmp_path: Path, config, params
) -> None:
    save(tmp_path / "m", config, params)
    before = (tmp_path / "m" / "model.safetensors").read_bytes()
    first = load(tmp_path / "m")[1]
    for array in first.values():
        array += 1
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == before
    assert_equal(load(tmp_path / "m")[1], params)


def test_a_file_that_is_replaced_leaves_loaded_parameters_as_they_were(
    tmp_path: Path, config, params
) -> None:
    save(tmp_path / "m", config, params)
    loaded = load(tmp_path / "m")[1]
    save(tmp_path / "m", config, filled(config, seed=1))
    assert_equal(loaded, params)


@pytest.mark.parametrize("modulo", range(8))
def test_parameters_are_aligned_wherever_the_header_ends(
    tmp_path: Path, config, params, modulo: int
) -> None:
    # an array whose start is not a multiple of 4 is copied by every matmul
    write_raw(tmp_path / "model.safetensors", params, modulo=modulo)
    write_config(tmp_path / "config.json", config)
    loaded = load(tmp_path)[1]
    assert all(array.flags.aligned and array.flags.writeable for array in loaded.values())
    assert_equal(loaded, params)


def test_loading_takes_no_memory_where_the_file_can_be_mapped_and_its_size_where_not(
    tmp_path: Path,
) -> None:
    config = GPT2Config(n_layer=1, n_head=4, n_embd=256, vocab_size=8000, n_positions=64)
    params = filled(config)
    size = sum(array.nbytes for array in params.values())
    for modulo, most in ((0, 0.1 * size), (1, size + 6 * 2**20)):
        write_raw(tmp_path / "model.safetensors", params, modulo=modulo)
        write_config(tmp_path / "config.json", config)
        tracemalloc.start()
        loaded = load(tmp_path)[1]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < most
        assert_equal(loaded, params)


def test_bfloat16_is_widened_exactly(tmp_path: Path) -> None:
    values = np.array([0.0, -0.0, 1.0, -2.5, 3.3895314e38, 1e-40, np.inf], np.float32)
    halves = (values.view(np.uint32) >> 16).astype(np.uint16)
    (tmp_path / "raw").write_bytes(halves.tobytes())
    back = MappedFile(tmp_path / "raw").tensor(0, (7,), "BF16").read(np.dtype("f4"))
    np.testing.assert_array_equal(back.view(np.uint32), values.view(np.uint32) & 0xFFFF0000)


def test_a_transposed_tensor_is_contiguous_and_same_compares_numbers(tmp_path: Path) -> None:
    matrix = np.arange(6, dtype="<f4").reshape(2, 3)
    (tmp_path / "raw").write_bytes(matrix.tobytes() + matrix.tobytes() + bytes(24))
    file = MappedFile(tmp_path / "raw")
    first, second, third = (file.tensor(24 * i, (2, 3), "F32") for i in range(3))
    flipped = transposed(first)
    assert flipped.shape == (3, 2)
    np.testing.assert_array_equal(flipped.read(np.dtype("f4")), matrix.T)
    assert flipped.read(np.dtype("f4")).flags.c_contiguous
    assert same(first, second) and not same(first, third) and not same(first, flipped)


def test_the_same_are_of_one_dtype_and_equal_to_the_last_digit(tmp_path: Path) -> None:
    numbers = np.array([1.0, 1.0 + 2**-52], "<f8")
    (tmp_path / "raw").write_bytes(numbers.tobytes() + numbers[:1].astype("<f4").tobytes() * 2)
    file = MappedFile(tmp_path / "raw")
    one, next_to_one = (file.tensor(8 * i, (1,), "F64") for i in range(2))
    single, integer = file.tensor(16, (1,), "F32"), file.tensor(20, (1,), "I32")
    assert same(one, one) and not same(one, next_to_one) and not same(one, single)
    assert not same(single, integer) and not same(integer, integer)


def test_float64_is_given_where_asked_for(tmp_path: Path, config, params) -> None:
    save(tmp_path / "m", config, params)
    assert_equal(load(tmp_path / "m", "float64")[1],
                 {name: array.astype(np.float64) for name, array in params.items()})
    with pytest.raises(ValueError, match="float16"):
        load(tmp_path / "m", "float16")
