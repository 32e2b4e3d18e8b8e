"""The published counts."""

import pytest

from npgpt.demos.sizes import sizes_demo

PUBLISHED = {
    ("gpt2", "tied"): 124_439_808, ("gpt2-medium", "tied"): 354_823_168,
    ("gpt2-large", "tied"): 774_030_080, ("gpt2-xl", "tied"): 1_557_611_200,
    ("gpt2", "untied, no qkv bias"): 163_009_536,
    ("gpt2-medium", "untied, no qkv bias"): 406_212_608,
    ("gpt2-large", "untied, no qkv bias"): 838_220_800,
    ("gpt2-xl", "untied, no qkv bias"): 1_637_792_000,
    ("gpt2", "tied, no qkv bias"): 124_412_160, ("gpt2-xl", "tied, no qkv bias"): 1_557_380_800,
}


def test_the_counts_are_the_published_ones():
    found = {(size.name, size.variant): size for size in sizes_demo()}
    assert len(found) == 16
    for key, count in PUBLISHED.items():
        cost = found[key].cost
        assert (cost.parameters, cost.parameter_bytes) == (count, 4 * count)
        assert cost.training_bytes == 16 * count


def test_the_books_memory_is_met_to_its_digits():
    found = {size.name: size.cost.parameter_bytes / 2**20 for size in sizes_demo()
             if size.variant == "untied, no qkv bias"}
    printed = {"gpt2": 621.83, "gpt2-medium": 1549.58, "gpt2-large": 3197.56, "gpt2-xl": 6247.68}
    assert found == {name: pytest.approx(mib, abs=0.005) for name, mib in printed.items()}
