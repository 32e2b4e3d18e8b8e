from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from npgpt import GPT2Config
from npgpt.budget import budget, check_room_for
from npgpt.config import SIZES
from npgpt.params import parameter_shapes

# parameters: tied with qkv bias, untied without, tied without; float32 MB (2^20) of the second
PUBLISHED = {
    "gpt2": (124_439_808, 163_009_536, 124_412_160, 621.83),
    "gpt2-medium": (354_823_168, 406_212_608, 354_749_440, 1549.58),
    "gpt2-large": (774_030_080, 838_220_800, 773_891_840, 3197.56),
    "gpt2-xl": (1_557_611_200, 1_637_792_000, 1_557_380_800, 6247.68),
}
SMALL = GPT2Config(vocab_size=11, n_positions=5, n_embd=8, n_layer=2, n_head=4)


@pytest.mark.parametrize("name", SIZES)
def test_counts_and_memory_are_the_published_ones(name):
    tied, untied_no_bias, tied_no_bias, megabytes = PUBLISHED[name]
    assert budget(GPT2Config.named(name)).parameters == tied
    untied = budget(GPT2Config.named(name, qkv_bias=False, tie_word_embeddings=False))
    assert untied.parameters == untied_no_bias
    assert round(untied.parameter_bytes / 2**20, 2) == megabytes
    assert budget(GPT2Config.named(name, qkv_bias=False)).parameters == tied_no_bias


def test_training_keeps_four_numbers_for_each_parameter():
    cost = budget(SMALL, np.float64)
    assert cost.parameters == sum(math.prod(s) for s in parameter_shapes(SMALL).values())
    assert cost.parameter_bytes == 8 * cost.parameters
    assert cost.training_bytes == 4 * cost.parameter_bytes


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("activation", ["gelu_new", "swiglu"])
def test_flops_agree_with_a_count_by_hand(tied, activation):
    config = SMALL.replace(tie_word_embeddings=tied, activation_function=activation)
    c, v, f, layers, positions = 8, 11, 32, 2, 5
    maps_in = 2 if activation == "swiglu" else 1
    matrices = layers * (c * 3 * c + c * c + maps_in * c * f + f * c) + c * v
    keys_met = sum(range(1, positions + 1)) / positions
    scores_and_values = layers * 2 * c * keys_met
    cost = budget(config)
    assert cost.flops_per_token == 2 * (matrices + scores_and_values)
    assert cost.training_flops_per_token == 3 * cost.flops_per_token


def test_the_largest_size_is_counted_without_allocating_it():
    tracemalloc.start()
    budget(GPT2Config.named("gpt2-xl"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 2**20


@pytest.mark.parametrize("changes", [
    {"n_layer": 10**9}, {"n_positions": 10**400}, {"n_embd": 10**5000, "n_head": 1},
], ids=["layers", "positions", "channels"])
def test_a_model_beyond_any_machine_is_rejected_in_a_short_line(changes):
    with pytest.raises(ValueError, match="^a model of .* parameters needs .* GiB of memory") as e:
        check_room_for(SMALL.replace(**changes))
    assert len(str(e.value)) < 200
