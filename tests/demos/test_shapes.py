"""Every entry of the tape, its shapes, its FLOPs and its memory, against counts by hand."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from npgpt import GPT2Config
from npgpt.budget import budget
from npgpt.demos.shapes import SMALL, shapes_demo, shapes_text

ROOT = Path(__file__).resolve().parents[2]
B, T, C, H, V = 2, 6, 48, 4, 65
FLOAT = 4
WALK = """
import resource
from npgpt.demos.shapes import shapes_demo
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
steps = shapes_demo("gpt2", batch=1, length=2)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(steps), "{}x{}".format(*steps[-1].inputs[1]), after - before)
"""


@pytest.fixture(scope="module")
def shown():
    return shapes_demo(length=T)


def test_the_entries_stand_in_the_order_of_the_forward_pass(shown):
    block = ["layernorm", "linear", "multi_head_attention", "linear", "residual",
             "layernorm", "feed_forward", "residual"]
    ends = ["layernorm", "linear_cross_entropy"]
    starts = ["token_embedding", "position_embedding"]
    assert [step.op for step in shown] == [*starts, *block * 2, *ends]
    assert [step.parameters for step in shown[:7]] == [
        "wte", "wpe", "h.0.ln_1", "h.0.attn.c_attn", "", "h.0.attn.c_proj", ""]


def test_each_entry_starts_where_the_one_before_it_ended(shown):
    for before, after in zip(shown, shown[1:]):
        assert before.out in after.inputs
    assert shown[3].inputs == ((B, T, C), (C, 3 * C), (3 * C,)) and shown[3].out == (B, T, 3 * C)
    assert shown[-1].out == ()


def test_saved_bytes_are_those_that_the_layers_document(shown):
    x = B * T * C * FLOAT
    by_hand = {
        "layernorm": x + B * T * FLOAT,                             # xhat, rstd
        "linear": x,                                                # its input
        "multi_head_attention": 3 * x + B * H * T * T * FLOAT,      # qkv; weights
        "feed_forward": x + 3 * 4 * x,                              # input; hidden, tanh, activated
        "residual": 0,
        "token_embedding": 0,                                       # ids
        "position_embedding": T * 8,                                # positions, int64
        # its input, p, and the targets made safe, with which of them count
        "linear_cross_entropy": x + B * T * (V * FLOAT + 8 + 1),
    }
    assert [step.saved for step in shown] == [by_hand[step.op] for step in shown]


def test_an_array_saved_twice_counts_once():
    steps = shapes_demo(SMALL.replace(activation_function="swiglu"), length=T)
    gated = next(step for step in steps if step.op == "swiglu")
    x = B * T * C * FLOAT
    # its input, which both linear maps save; gate's input and sigmoid, gate, hidden, their product
    assert gated.saved == x + 5 * 4 * x


@pytest.mark.parametrize("activation", ["gelu_new", "gelu", "relu", "leaky_relu", "silu", "swiglu"])
def test_flops_are_near_the_budget_which_counts_matmuls_alone(activation):
    config = GPT2Config(vocab_size=500, n_positions=64, n_embd=96, n_layer=3, n_head=3,
                        activation_function=activation)
    steps = shapes_demo(config, batch=2, length=64)
    matmuls = 2 * 64 * budget(config).flops_per_token
    # and visible scores alone: the masked half costs as much again
    masked = config.n_layer * 2 * 4 * config.n_embd * 64 * 63 // 2
    assert 1.0 < sum(step.flops for step in steps) / (matmuls + masked) < 1.15


def test_a_linear_map_costs_two_per_weight_and_one_per_bias(shown):
    assert shown[3].flops == B * T * (2 * C * 3 * C + 3 * C)


def test_the_published_sizes_can_be_walked_through_in_little_memory():
    pytest.importorskip("resource")
    # in a process of its own: memory that others have freed would be filled with zeros by hand
    done = subprocess.run([sys.executable, "-c", WALK], text=True, capture_output=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    entries, last, grown = done.stdout.split()
    assert int(entries) == 2 + 12 * 8 + 2 and last == "50257x768"
    # its parameters would take 475 MiB
    assert int(grown) / 1024 < 300


def test_many_blocks_are_shown_by_the_first_unless_asked():
    steps = shapes_demo(dataclasses.replace(SMALL, n_layer=4))
    short, long = shapes_text(steps), shapes_text(steps, every_block=True)
    assert "... 3 more blocks" in short and "h.1." not in short
    assert "more blocks" not in long and "h.3.mlp" in long
    assert "all 36 entries" in short and "all 36 entries" in long


@pytest.mark.parametrize("settings, says", [
    ({"size": "onnx"}, "small, gpt2"), ({"batch": 0}, "batch=0"), ({"length": 0}, "length=0"),
    ({"length": 33}, "length=33 must be an integer from 1 to 32"),
])
def test_a_wrong_setting_is_named(settings, says):
    with pytest.raises(ValueError, match=says):
        shapes_demo(**settings)


def test_fractions_are_of_all(shown):
    text = shapes_text(shown)
    percents = [int(word[:-1]) for line in text.splitlines() if line.startswith("feed_forward ")
                for word in line.split() if word.endswith("%")]
    flops = [step.flops for step in shown if step.op == "feed_forward"]
    assert percents[0] == round(100 * np.sum(flops) / sum(step.flops for step in shown))
