"""What does not fit into memory is rejected before it is made."""

import math

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config
from npgpt.budget import count_parameters
from npgpt.machine.memory import _memory, check_memory
from npgpt.params import init_params
from npgpt.training.loop import new_state
from npgpt.training.settings import resolve

from ..generation.lively import SMALL, VARIANTS, lively

HUGE = {"n_layer": 10**9, "n_embd": 10**9, "vocab_size": 10**12, "n_positions": 10**12,
        "n_inner": 10**12}


def test_memory_and_swap_are_read(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(
        "MemTotal:  100 kB\nMemFree: 7 kB\nSwapCached: 8 kB\nSwapTotal:       20 kB\n")
    assert _memory(tmp_path) == 120 * 1024
    (tmp_path / "proc/meminfo").write_text("nothing of it")
    assert _memory(tmp_path) == math.inf


def test_a_machine_without_that_file_is_asked_otherwise(tmp_path):
    assert _memory(tmp_path) > 2**20


@pytest.mark.parametrize("needed", [2**60, 10**400])
def test_what_does_not_fit_is_rejected_with_both_numbers(needed):
    check_memory(1, "a byte")
    with pytest.raises(ValueError, match="that needs .* of memory, this machine has .* GiB"):
        check_memory(needed, "that")


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("n_layer", [1, 2, 5])
def test_parameters_are_counted_without_making_them(config, n_layer):
    config = config.replace(n_layer=n_layer)
    assert count_parameters(config) == sum(a.size for a in init_params(config).values())


@pytest.mark.parametrize("name", HUGE)
def test_no_model_is_begun_that_does_not_fit(name):
    config = GPT2Config(n_head=1).replace(**{name: HUGE[name]})
    with pytest.raises(ValueError, match="a model of .* parameters needs .* this machine has"):
        GPT2.init(config)
    with pytest.raises(ValueError, match="parameters do not match|too few for"):
        GPT2(config, lively())


@pytest.mark.parametrize("name, freeze", [
    ("batch_size", ""), ("batch_size", "wte"), ("n_layer", ""), ("n_layer", "wte"), ("n_embd", "")])
def test_no_training_is_begun_that_does_not_fit(name, freeze):
    run = resolve("python-docs", None, {"n_head": 1, "freeze": freeze, name: 10**9})

    class Corpus:
        tokenizer = type("Tokenizer", (), {"vocab_size": 65})

    with pytest.raises(ValueError, match="a (step of .* tokens|model of .* parameters) needs"):
        new_state.__wrapped__(run, Corpus)


@pytest.mark.parametrize("settings, what", [
    ({"max_new_tokens": 2**31 - 1, "samples": 10**4}, "max_new_tokens=|samples="),
    ({"max_new_tokens": 1, "samples": 10**15}, "samples=1000000000000000 needs"),
    ({"max_new_tokens": 2**63}, "max_new_tokens=9223372036854775808 must be an integer from 0"),
])
def test_no_text_is_begun_that_does_not_fit(settings, what):
    model = GPT2(SMALL, lively())
    with pytest.raises(ValueError, match=what):
        model.generate(np.array([1, 2]), **settings)
