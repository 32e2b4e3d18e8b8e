from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from npgpt import model
from npgpt.config import GPT2Config
from npgpt.fast.ops import FAST
from npgpt.machine import blas, threads
from npgpt.ops import TEXTBOOK as textbook
from npgpt.params import init_params
from npgpt.tape import Op, Tape
from npgpt.training.step.gradients import (
    add_gradients,
    batches_at_a_time,
    choose_shards,
    loss_and_grads,
)
from npgpt.training.step.row_random import RowRandom

BASE = {"vocab_size": 61, "n_positions": 200, "n_embd": 24, "n_layer": 2, "n_head": 3}


@pytest.fixture(autouse=True)
def shards_on_threads(monkeypatch):
    monkeypatch.setattr(threads.THRESHOLDS, "thread_work", 0)


def example(dtype=np.float64, batch=5, length=40, **changes):
    config = GPT2Config.from_dict({**BASE, **changes})
    rng = np.random.default_rng(0)
    params = {
        name: a + 0.1 * rng.standard_normal(a.shape).astype(dtype)
        for name, a in init_params(config, 0, dtype).items()
    }
    ids, targets = rng.integers(0, config.vocab_size, (2, batch, length))
    targets[0, :20] = -100
    targets[3:, 5] = -100
    return params, ids, targets, config


def textbook_step(params, ids, targets, config, rng=None):
    tape = Tape()
    watched = tape.watch(params)
    loss = model.training_loss(watched, ids, targets, config, ops=textbook, rng=rng)
    grads = tape.backward(loss)
    return float(loss.value), {name: grads[var] for name, var in watched.items()}


def assert_same(got, wanted, tolerance):
    assert abs(got[0] - wanted[0]) <= tolerance * abs(wanted[0])
    assert list(got[1]) == list(wanted[1])
    whole = np.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in wanted[1].values()))
    for name, grad in wanted[1].items():
        gap = np.linalg.norm((got[1][name] - grad).astype(float))
        assert got[1][name].dtype == grad.dtype
        # the key bias has no gradient but rounding: no number to be relative to
        assert gap <= tolerance * (np.linalg.norm(grad.astype(float)) + 0.01 * whole), name


@pytest.mark.smoke
@pytest.mark.parametrize("shards", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("recompute", [False, True])
def test_the_step_is_the_textbook_for_any_shards_with_ignored_targets(shards, recompute):
    given = example()
    wanted = textbook_step(*given, rng=RowRandom(1, 2, 3, 5))
    got = loss_and_grads(*given, rng=RowRandom(1, 2, 3, 5), shards=shards, recompute=recompute)
    assert_same(got, wanted, 1e-12)


@pytest.mark.smoke
@pytest.mark.parametrize("changes", [
    {"activation_function": "swiglu"}, {"activation_function": "leaky_relu"},
    {"tie_word_embeddings": False}, {"norm": "none", "final_norm": False}, {"qkv_bias": False},
    {"residual": False},
    {"activation_function": "identity", "frozen_biases": True}, {"weight_norm": True},
    {"activation_function": "leaky_relu", "leaky_slope": "shared"},
    {"activation_function": "leaky_relu", "leaky_slope": "fixed", "slope_init": 0.2},
])
@pytest.mark.parametrize("recompute", [False, True])
def test_every_kind_of_model_gives_the_textbooks_gradients(changes, recompute):
    given = example(batch=4, length=9, **changes)
    assert_same(loss_and_grads(*given, recompute=recompute), textbook_step(*given), 1e-12)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_entropy_penalty_is_the_whole_batchs_on_any_threads(n):
    given = example(batch=4, length=9, entropy_penalty=0.5, entropy_tolerance=0.01)
    wanted = textbook_step(*given, rng=RowRandom(1, 2, 3, 4))
    assert wanted[0] > textbook_step(*given[:3], given[3].replace(entropy_penalty=0.0),
                                     rng=RowRandom(1, 2, 3, 4))[0] + 1e-4
    got = loss_and_grads(*given, rng=RowRandom(1, 2, 3, 4), threads=n, shards=n)
    assert_same(got, wanted, 1e-12)
    assert choose_shards(given[3], 4, 9) == 1


def test_the_entropy_penalty_and_recompute_do_not_go_together():
    with pytest.raises(ValueError, match="entropy_penalty needs .*recompute"):
        loss_and_grads(*example(entropy_penalty=0.5), recompute=True)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 1)])
def test_one_row_and_one_position_are_enough(shape):
    config = GPT2Config.from_dict(BASE)
    params = init_params(config, 0, np.float64)
    ids = np.ones(shape, int)
    wanted = textbook_step(params, ids, ids, config)
    assert_same(loss_and_grads(params, ids, ids, config), wanted, 1e-12)


def test_a_batch_with_nothing_to_predict_has_loss_and_gradients_of_zero():
    params, ids, targets, config = example()
    loss, grads = loss_and_grads(params, ids, np.full_like(ids, -100), config, shards=2)
    assert loss == 0.0
    assert all(not g.any() for g in grads.values())


@pytest.mark.smoke
@pytest.mark.parametrize("shards", [None, 1, 2])
def test_the_same_number_of_threads_gives_the_same_bits(shards):
    given = example(np.float32, batch=6, length=150, n_embd=48)
    runs = [
        loss_and_grads(*given, rng=RowRandom(0, 0, 0, 6), threads=2, shards=shards)
        for _ in range(4)
    ]
    for loss, grads in runs[1:]:
        assert loss == runs[0][0]
        for name, grad in grads.items():
            np.testing.assert_array_equal(grad, runs[0][1][name])


def test_shards_that_go_one_after_the_other_give_the_bits_of_those_on_threads(
        monkeypatch, every_size_on_threads):
    """Each is one thread's work, as in a worker process, however long its own ops are."""
    given = example(np.float32, batch=6, length=150, n_embd=48)
    runs = []
    for least in (0, 2**62):
        monkeypatch.setattr(threads.THRESHOLDS, "thread_work", least)
        runs.append(loss_and_grads(*given, rng=RowRandom(0, 0, 0, 6), threads=2, shards=2))
    assert runs[0][0] == runs[1][0]
    for name, grad in runs[0][1].items():
        np.testing.assert_array_equal(grad, runs[1][1][name], err_msg=name)


@pytest.mark.parametrize("vocab_size, n_embd, shards", [
    (61, 48, None), (4000, 48, None),
    # every op is cut: 900 positions times 384 channels are enough for all of them
    (1000, 384, 1),
])
def test_any_number_of_threads_is_as_near_to_float64_as_one_thread(vocab_size, n_embd, shards):
    """Other cuts of a sum round differently: what threads add must not exceed what float32 does."""
    given = example(np.float32, batch=6, length=150, n_embd=n_embd, vocab_size=vocab_size)
    assert shards is None or 900 * n_embd >= threads.THRESHOLDS.elements
    wide = {name: array.astype(np.float64) for name, array in given[0].items()}
    truth = loss_and_grads(wide, *given[1:], rng=RowRandom(0, 0, 0, 6), threads=1, shards=shards)

    def errors(n):
        loss, grads = loss_and_grads(*given, rng=RowRandom(0, 0, 0, 6), threads=n, shards=shards)
        gap, size = (
            np.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in arrays))
            for arrays in ([grads[name] - g for name, g in truth[1].items()], truth[1].values())
        )
        return abs(loss - truth[0]) / truth[0], gap / size

    one = errors(1)
    # float32 itself: 3e-7 to 5e-6 with and without AVX-512
    assert one[0] <= 1e-6 and one[1] <= 2e-5
    for n in (2, 3, 4):
        loss, gap = errors(n)
        assert loss <= 1e-6
        assert gap <= 1.5 * one[1]


def test_gradients_are_arrays_that_nobody_else_holds():
    params, ids, targets, config = example()
    _, grads = loss_and_grads(params, ids, targets, config)
    before = {name: g.copy() for name, g in grads.items()}
    for name, grad in grads.items():
        assert grad.flags.writeable
        grad += 1.0
        for other, array in grads.items():
            if other != name:
                assert not np.shares_memory(grad, array), (name, other)
    _, again = loss_and_grads(params, ids, targets, config)
    for name, grad in again.items():
        np.testing.assert_array_equal(grad, before[name])


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("recompute", [False, True])
def test_a_users_layer_may_hand_one_array_to_two_parameters(shards, recompute):
    """What its backward shares, or may not be written into, never reaches a sum in place."""
    def layernorm_forward(x, weight, bias, *, eps):
        out, cache = textbook.layernorm.forward(x, weight + bias, np.zeros_like(bias), eps=eps)
        return out, cache

    def layernorm_backward(dout, cache):
        dx, dweight, _ = textbook.layernorm.backward(dout, cache)
        return dx, dweight, np.broadcast_to(dweight, dweight.shape)

    mine = replace(textbook, layernorm=Op("layernorm", layernorm_forward, layernorm_backward))
    given = example(batch=4, length=9)
    got, wanted = (loss_and_grads(*given, ops=mine, shards=n, recompute=r)
                   for n, r in ((shards, recompute), (1, False)))
    assert_same(got, wanted, 1e-12)
    np.testing.assert_array_equal(got[1]["ln_f.weight"], got[1]["ln_f.bias"])


@pytest.mark.parametrize("shards", [0, -3, True, 2.5, "2"])
def test_the_number_of_shards_is_an_integer_of_at_least_1(shards):
    with pytest.raises(ValueError, match="shards=.* must be an integer"):
        loss_and_grads(*example(), shards=shards)


def test_small_models_are_cut_into_shards_and_large_ones_are_not(two_threads):
    small, large = GPT2Config.from_dict(BASE), GPT2Config.named("gpt2")
    assert choose_shards(small, 12, 64) == 2
    assert choose_shards(small, 1, 64) == 1
    # too little to cut
    assert choose_shards(small, 4, 20) == 1
    assert choose_shards(large, 12, 64) == 1
    # a plain generator draws for the whole batch at once
    assert choose_shards(small, 12, 64, np.random.default_rng(0)) == 1


def test_dropout_in_shards_needs_a_source_by_rows():
    given = example()
    with pytest.raises(ValueError, match="RowRandom"):
        loss_and_grads(*given, rng=np.random.default_rng(0), shards=2)


def test_one_shard_takes_any_source_of_random_numbers():
    given = example(embd_pdrop=0.1, resid_pdrop=0.1)
    first, again = (loss_and_grads(*given, rng=np.random.default_rng(3), shards=1)[0]
                    for _ in range(2))
    assert first == again != loss_and_grads(*given, shards=1)[0]


@pytest.mark.parametrize("ops, blas_threads", [(FAST, 1), (textbook, 2)])
def test_the_fast_ops_use_the_threads_asked_for_and_others_leave_them_to_blas(ops, blas_threads):
    class Looking(RowRandom):
        def random(self, size=None):
            seen.add((threads.get_threads(), *(
                lib["num_threads"] for lib in threadpool_info()
                if lib["user_api"] == "blas" and "scipy.libs" not in lib["filepath"])))
            return super().random(size)

    seen = set()
    with blas.limited(2):
        loss_and_grads(*example(), ops=ops, rng=Looking(0, 0, 0, 5), threads=3, shards=1)
    assert seen == {(3, blas_threads)}


def test_ids_and_targets_of_different_shapes_are_rejected():
    params, ids, targets, config = example()
    with pytest.raises(ValueError, match=r"\(5, 40\), \(5, 39\)"):
        loss_and_grads(params, ids, targets[:, :-1], config)


def test_the_step_leaves_the_threads_as_they_were():
    before = threads.get_threads()
    loss_and_grads(*example(), threads=before + 1)
    assert threads.get_threads() == before


def test_gradients_are_added_in_place_and_what_was_added_is_let_go():
    rng = np.random.default_rng(0)
    shapes = {"a": (3, 4), "b": (5,)}
    total, more = ({n: rng.standard_normal(s) for n, s in shapes.items()} for _ in range(2))
    arrays, wanted = dict(total), {name: total[name] + more[name] for name in shapes}
    add_gradients(total, more)
    assert not more and all(total[name] is arrays[name] for name in shapes)
    assert all((total[name] == wanted[name]).all() for name in shapes)


def test_evaluation_takes_a_batch_a_thread_where_threads_pay(monkeypatch, two_threads):
    small, large = GPT2Config.from_dict(BASE), GPT2Config.named("gpt2")
    monkeypatch.setattr(threads.THRESHOLDS, "thread_work", 2**27)
    assert batches_at_a_time(small, 4, 40) == 1
    assert batches_at_a_time(small, 200, 200) == 2
    assert batches_at_a_time(large, 4, 64) == 1
    with threads.using(1):
        assert batches_at_a_time(small, 200, 200) == 1
