"""The catalogue: every mistake in it shows on the inputs drawn for it, and gets its own name."""

import inspect

import numpy as np
import pytest

from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.doctor.values.forward import diagnose_value
from npgpt.doctor.values.program import variants

# these give what another gives, or nothing else than the right value, on any input
ALIKE = {
    ("multi_head_attention", "qkv-read-as-kqv"), ("multi_head_attention", "mask-top-left"),
    ("layernorm", "wrong-eps"), ("unembedding", "wrong-eps"), ("unembedding", "tied-but-untied"),
    ("gelu", "erf-not-scaled"), ("feed_forward", "erf-not-scaled"), ("feed_forward", "gelu-tanh"),
    ("causal_attention", "scale-of-full-width"), ("causal_attention", "scale-of-head-count"),
}
DRAWN = [name for name, program in PROGRAMS.items() if program.draw and name != "dropout"]


def with_mistake(program, variant):
    def mine(*inputs, **settings):
        return program.function(*inputs, **settings, wrong={variant.kind: variant.value})

    signature = inspect.signature(program.function)
    mine.__signature__ = signature.replace(
        parameters=[p for name, p in signature.parameters.items() if name != "wrong"])
    return mine


@pytest.mark.parametrize("name", DRAWN)
def test_every_mistake_is_named_for_what_it_is(name):
    program = PROGRAMS[name]
    # a block has its layers' mistakes too, which are tried with them
    own = {v.kind for v in variants("residual", name)} if name == "block" else None
    for variant in program.mistakes():
        if (name, variant.kind) not in ALIKE and (own is None or variant.kind in own):
            report = diagnose_value(name, with_mistake(program, variant))
            assert report.kinds == [variant.kind], f"{variant}: {report}"


@pytest.mark.smoke
@pytest.mark.parametrize("name", DRAWN)
def test_the_program_itself_is_right(name):
    assert diagnose_value(name, PROGRAMS[name].function).ok


@pytest.mark.parametrize("name", [name for name, program in PROGRAMS.items() if program.draw])
def test_inputs_are_the_same_for_the_same_seed_and_others_for_another(name):
    def numbers(seed):
        inputs, settings = PROGRAMS[name].draw(np.random.default_rng(seed), {}, 0)
        return repr([i for i in inputs if not callable(i)]) + repr(
            {k: v for k, v in settings.items() if k != "rng"})

    assert numbers(0) == numbers(0)
    assert len({numbers(seed) for seed in range(6)}) > 1 or name in ("learning_rate", "bpe_train")
