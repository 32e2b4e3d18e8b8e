"""A block computed twice: the same numbers, the same dropout, and less kept between."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from npgpt import model
from npgpt.config import GPT2Config
from npgpt.fast.ops import FAST
from npgpt.ops import TEXTBOOK as textbook
from npgpt.params import init_params
from npgpt.tape import Tape
from npgpt.training.step.checkpointing import checkpointed_block
from npgpt.training.step.row_random import RowRandom
from npgpt.variants import plain

BASE = {"vocab_size": 11, "n_positions": 7, "n_embd": 8, "n_layer": 2, "n_head": 4, "n_inner": 12,
        "attn_pdrop": 0.3, "resid_pdrop": 0.2}
B, T = 3, 5


def example(layer=1, **changes):
    """config, the params of unit scale, x and a dout."""
    config = GPT2Config.from_dict({**BASE, **changes})
    rng = np.random.default_rng(0)
    params = {
        name: a + 0.4 * rng.standard_normal(a.shape)
        for name, a in init_params(config, 0, np.float64).items()
    }
    x, dout = rng.standard_normal((2, B, T, config.n_embd))
    return config, params, x, dout


def source(kind):
    if kind == "rows":
        return RowRandom(1, 2, 3, rows=B)
    return np.random.default_rng(4) if kind == "numpy" else None


def run(block, given, rng, layer=1, ops=FAST):
    """out, the gradients of x and of all params, and the tape as it was before backward."""
    config, params, x, dout = given
    tape = Tape()
    watched = {"x": tape.watch(x), **tape.watch(params)}
    attend = model.full_attention(config, ops=ops, rng=rng)
    parameters = {name: var for name, var in watched.items() if name != "x"}
    out = block(plain(parameters, config, ops), layer, watched["x"], config,
                ops=ops, rng=rng, attend=attend)
    entries = list(tape.entries)
    by_var = tape.backward(out, dout)
    grads = [by_var[var] for var in watched.values()]
    return out.value, dict(zip(watched, grads)), entries


KINDS = [
    {}, {"activation_function": "swiglu"}, {"activation_function": "leaky_relu"},
    {"norm": "none"}, {"qkv_bias": False}, {"residual": False},
    {"weight_norm": True, "frozen_biases": True},
    {"activation_function": "leaky_relu", "leaky_slope": "shared"},
]


@pytest.mark.smoke
@pytest.mark.parametrize("rng", [None, "numpy", "rows"])
@pytest.mark.parametrize("changes", KINDS)
def test_a_block_computed_again_has_the_same_output_and_gradients(changes, rng):
    given = example(**changes)
    out, grads, _ = run(model.block, given, source(rng))
    again, again_grads, _ = run(checkpointed_block, given, source(rng))
    np.testing.assert_array_equal(again, out)
    assert list(again_grads) == list(grads)
    for name, grad in grads.items():
        np.testing.assert_allclose(again_grads[name], grad, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("changes", KINDS)
def test_its_gradients_are_those_of_the_textbook(changes):
    given = example(**changes)
    out, grads, _ = run(model.block, given, source("rows"), ops=textbook)
    again, again_grads, _ = run(checkpointed_block, given, source("rows"))
    np.testing.assert_allclose(again, out, rtol=1e-12, atol=1e-12)
    for name, grad in grads.items():
        gap = np.linalg.norm(again_grads[name] - grad)
        assert gap <= 1e-12 * max(np.linalg.norm(grad), 1.0), name


@pytest.mark.parametrize("rng", ["numpy", "rows"])
def test_dropout_is_drawn_on_from_where_one_forward_leaves_it(rng):
    """Blocks after this one draw what they draw without recomputation; backward draws nothing."""
    given = example()
    plain, again = source(rng), source(rng)
    run(model.block, given, plain)
    run(checkpointed_block, given, again)
    np.testing.assert_array_equal(again.random((B, 7)), plain.random((B, 7)))


def test_dropout_differs_between_blocks_and_without_dropout_the_output_does():
    given = example()
    rng = source("rows")
    first, _, _ = run(checkpointed_block, given, rng)
    second, _, _ = run(checkpointed_block, given, rng)
    without, _, _ = run(checkpointed_block, given, None)
    assert not np.allclose(first, second)
    assert not np.allclose(first, without)


def test_backward_of_a_block_says_the_same_twice():
    given = example()
    config, params, x, dout = given
    _, _, (entry,) = run(checkpointed_block, given, source("rows"))
    first = [grad.copy() for grad in entry.op.backward(dout, entry.cache)]
    for a, b in zip(first, entry.op.backward(dout, entry.cache)):
        np.testing.assert_array_equal(a, b)


def arrays_in(thing):
    """The arrays that memory is held for, by id."""
    if isinstance(thing, np.ndarray):
        while isinstance(thing.base, np.ndarray):
            thing = thing.base
        return {id(thing): thing}
    if isinstance(thing, dict):
        thing = list(thing.values())
    found = {}
    for part in thing if isinstance(thing, (tuple, list)) else ():
        found.update(arrays_in(part))
    return found


def kept_bytes(entries, given):
    """Bytes of what the entries keep, without x and the params, which live anyway."""
    _, params, x, _ = given
    theirs = arrays_in([x, *params.values()])
    held = arrays_in([entry.cache for entry in entries])
    return sum(array.nbytes for key, array in held.items() if key not in theirs)


@pytest.mark.parametrize("changes", KINDS)
def test_between_forward_and_backward_nothing_is_kept_but_the_input(changes):
    given = example(**changes)
    _, _, whole = run(model.block, given, source("rows"))
    # before it may stand a variant's, which make the weights that this block reads
    _, _, (*_, entry) = run(checkpointed_block, given, source("rows"))
    x, *weights = entry.cache[0]
    assert kept_bytes([entry], given) == sum(kept_bytes([entry._replace(cache=w)], given)
                                             for w in weights)
    assert entry.cache[0][0] is given[2]
    # and without recomputation that would be many times the stream
    assert kept_bytes(whole, given) > 5 * given[2].nbytes


def test_two_blocks_keep_one_stream_between_them():
    given = example()
    config, _, x, _ = given

    def both(params, layer, x, *args, **settings):
        middle = checkpointed_block(params, 0, x, *args, **settings)
        return checkpointed_block(params, 1, middle, *args, **settings)

    def saved(params, layer, x, *args, **settings):
        return model.block(params, 1, model.block(params, 0, x, *args, **settings), *args,
                           **settings)

    _, wanted, _ = run(saved, given, source("rows"))
    _, grads, entries = run(both, given, source("rows"))
    assert [entry.op.name for entry in entries] == ["block", "block"]
    assert kept_bytes(entries, given) == x.nbytes
    for name, grad in wanted.items():
        np.testing.assert_allclose(grads[name], grad, rtol=1e-12, atol=1e-12, err_msg=name)


def test_a_block_takes_its_own_parameters_and_not_those_of_block_ten():
    given = example(n_layer=12)
    _, grads, (entry,) = run(checkpointed_block, given, None, layer=1)
    own = [name for name in given[1] if name.startswith("h.1.")]
    assert len(entry.inputs) == 1 + len(own)
    for name, grad in grads.items():
        # the bias of the keys has no gradient but rounding
        assert bool(np.abs(grad).max() > 1e-9) == (name == "x" or name in own), name


def test_the_random_source_handed_in_is_copied_and_not_shared():
    given = example()
    rng = source("rows")
    _, _, (entry,) = run(checkpointed_block, given, rng)
    first = entry.op.backward(given[3], entry.cache)
    rng.random((B, 50))
    for a, b in zip(first, entry.op.backward(given[3], copy.copy(entry.cache))):
        np.testing.assert_array_equal(a, b)
