from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npgpt.params import parameter_shapes
from npgpt.weights import CheckpointError
from npgpt.weights.assemble import assemble
from npgpt.weights.stored import Stored

from .conftest import SMALL

HERE = Path("weights.bin")


def never(wanted: np.dtype) -> Any:
    raise AssertionError("read, although something did not fit")


def shaped(shapes: dict, dtype: str = "F32") -> dict[str, Stored]:
    return {name: Stored(shape, dtype, never) for name, shape in shapes.items()}


def test_nothing_is_read_where_one_tensor_does_not_fit() -> None:
    tensors = shaped(parameter_shapes(SMALL))
    tensors["ln_f.bias"] = Stored((7,), "F32", never)
    with pytest.raises(CheckpointError, match=r"expected shape \(6,\), got \(7,\): ln_f.bias"):
        assemble(HERE, SMALL, tensors)


def test_parameters_come_in_the_order_of_the_forward_pass_and_in_the_widest_type() -> None:
    asked = []

    def read(shape: tuple[int, ...]) -> Any:
        def give(wanted: np.dtype) -> Any:
            asked.append(wanted)
            return np.zeros(shape, wanted)
        return give

    shapes = parameter_shapes(SMALL)
    tensors = {name: Stored(shape, "F16", read(shape))
               for name, shape in reversed(shapes.items())}
    assert list(assemble(HERE, SMALL, tensors)) == list(shapes)
    assert set(asked) == {np.dtype("f4")}
    tensors["ln_f.bias"] = Stored((6,), "F64", read((6,)))
    asked.clear()
    assemble(HERE, SMALL, tensors)
    assert set(asked) == {np.dtype("f8")}
