"""The fast reader is the cached textbook reader, sooner: for every model, batch and chunk."""

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from npgpt import model
from npgpt.generation import Session, fast_reader, streamed
from npgpt.generation.fast_reader import FastReader
from npgpt.generation.reader import CachedReader
from npgpt.machine import threads
from npgpt.tape import Op

from .lively import LONG, SMALL, VARIANTS, lively
from .plain import complete, generate

IDS = np.random.default_rng(0).integers(0, 29, (3, 12))
MODELS = {
    **VARIANTS,
    "relu": SMALL.replace(activation_function="relu"),
    "silu": SMALL.replace(activation_function="silu"),
    "exact gelu": SMALL.replace(activation_function="gelu"),
    "no final norm": SMALL.replace(final_norm=False),
    "another width": SMALL.replace(n_inner=5, layer_norm_epsilon=0.1),
}
# float64 finds what is wrong, float32 that its rounding stays what it is: where there is no norm it
# moves logits by 1e-5, by 2e-5 without AVX
PRECISION = [(np.float64, 1e-12), (np.float32, 1e-4)]


def close(got, full, tolerance):
    """Equal to a tolerance, relative to the largest element."""
    assert got.shape == full.shape and got.dtype == full.dtype
    np.testing.assert_allclose(got, full, rtol=0, atol=tolerance * np.abs(full).max(initial=1.0))


@pytest.fixture(params=["streamed", "at once", "threads"])
def way(request, monkeypatch):
    """Few tokens streamed; every chunk of more than one handed to the ops; all on two threads."""
    if request.param == "at once":
        monkeypatch.setattr(streamed, "FEW", 1)
    if request.param == "threads":
        monkeypatch.setattr(threads.THRESHOLDS, "stream", 0)
        monkeypatch.setattr(threads.THRESHOLDS, "keys", 0)
        with threads.using(2):
            yield
    else:
        yield


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION, ids=["float64", "float32"])
@pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)
def test_prefill_and_decode_equal_the_textbook_reader(config, dtype, tolerance, way):
    params = lively(config, dtype=dtype)
    fast, textbook = FastReader(params, config, 3), CachedReader(params, config, 3)
    for start, stop in ((0, 6), (6, 7), (7, 10), (10, 11), (11, 12)):
        chunk = IDS[:, start:stop]
        close(fast.read([0, 1, 2], chunk), textbook.read([0, 1, 2], chunk), tolerance)
    assert fast.lengths.tolist() == [12, 12, 12]


@pytest.mark.smoke
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISION, ids=["float64", "float32"])
def test_ragged_rows_cuts_and_copies_equal_the_textbook_reader(dtype, tolerance, way):
    params = lively(dtype=dtype)
    readers = [FastReader(params, SMALL, 3), CachedReader(params, SMALL, 3)]
    for reader in readers:
        reader.read([1], IDS[:1, :7])
        reader.read([0], IDS[:1, :2])
        reader.cut(1, 4)
        reader.copy(1, 2)
        reader.read([2], IDS[1:2, :3], keep=0)
        assert reader.lengths.tolist() == [2, 4, 7]
    for rows in ([2, 0], [1], [0, 1, 2]):
        got, expected = (reader.read(rows, IDS[:len(rows), 5:7], 2) for reader in readers)
        close(got, expected, tolerance)


@pytest.mark.smoke
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=4),
       st.sampled_from([1, 4, 32]))
def test_any_chunks_and_any_number_of_kept_logits_equal_the_full_logits(chunks, few):
    params = lively(LONG)
    ids = np.random.default_rng(len(chunks)).integers(0, 29, (2, 64))
    full = model.logits(params, ids[:, :20], LONG)
    reader = FastReader(params, LONG, 2)
    start = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamed, "FEW", few)
        for count, keep in chunks:
            keep = min(keep, count)
            logits = reader.read([0, 1], ids[:, start:start + count], keep)
            start += count
            close(logits, full[:, start - keep:start], 1e-12)


def test_speculation_and_sampling_write_the_same_tokens(way):
    params = lively(LONG)
    prompts = [np.tile([3, 1, 4, 1, 5], 4), np.array([2, 7]), np.arange(9)]
    for wanted in ({"temperature": 0.0}, {"temperature": 0.9, "seed": 3, "samples": 2}):
        expected = generate(params, LONG, prompts, 25, **wanted)
        for speculate in (False, True):
            got = generate(params, LONG, prompts, 25, reader=FastReader, speculate=speculate,
                           **wanted)
            for ours, theirs in zip(got, expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_a_window_slides_as_with_the_textbook_reader():
    params, prompt = lively(), IDS[0]
    settings = {"temperature": 0.0, "on_slide": [].append}
    expected = complete(params, SMALL, prompt, 6, **settings)
    got = complete(params, SMALL, prompt, 6, reader=FastReader, **settings)
    np.testing.assert_array_equal(got[0].ids, expected[0].ids)
    np.testing.assert_allclose(got[0].logprobs, expected[0].logprobs, rtol=1e-9)


def test_a_session_may_read_with_it():
    replies = []
    for reader in (CachedReader, FastReader):
        session = Session(lively(LONG), LONG, seed=1, reader=reader)
        session.extend([3, 1, 4])
        first = [token.id for token in session.reply(5)]
        session.extend([1, 5])
        replies.append(first + [token.id for token in session.reply(5)])
    assert replies[0] == replies[1]


@pytest.mark.parametrize(("keep", "name"), [(0, "linear"), (1, "unembedding")])
def test_a_pass_that_was_interrupted_leaves_no_trace(keep, name):
    params = lively(LONG)
    ids = np.random.default_rng(1).integers(0, 29, (1, 50))
    reader, untouched = FastReader(params, LONG), FastReader(params, LONG)
    for each in (reader, untouched):
        each.read([0], ids[:, :3])

    def interrupted(*args, **settings):
        raise KeyboardInterrupt

    whole = reader.ops
    reader.ops = replace(whole, **{name: Op(name, interrupted, interrupted)})
    with pytest.raises(KeyboardInterrupt):
        reader.read([0], ids[:, 3:], keep)
    reader.ops = whole
    assert reader.lengths.tolist() == [3]
    close(reader.read([0], ids[:, 5:9]), untouched.read([0], ids[:, 5:9]), 1e-12)


def test_more_tokens_than_the_capacity_are_rejected_before_any_work():
    reader = FastReader(lively(), SMALL, 1, 4)
    reader.read([0], IDS[:1, :3])
    with pytest.raises(ValueError, match="3 tokens and 2 more exceed the cache's capacity of 4"):
        reader.read([0], IDS[:1, 3:5])
    assert reader.lengths.tolist() == [3]


@pytest.mark.parametrize("n", [1, 2])
def test_the_same_threads_give_the_same_bits_and_others_nearly_the_same(n, monkeypatch):
    monkeypatch.setattr(threads.THRESHOLDS, "stream", 0)
    params = lively(LONG, dtype=np.float32)
    ids = np.random.default_rng(2).integers(0, 29, (1, 60))

    def read(threads_used):
        with threads.using(threads_used):
            reader = FastReader(params, LONG)
            return np.concatenate([reader.read([0], part, 1) for part in np.split(ids, 4, axis=1)])

    first = read(n)
    for _ in range(5):
        np.testing.assert_array_equal(read(n), first)
    close(read(3 - n), first, 2e-6)


def test_no_parameter_is_written_to():
    params = lively(LONG)
    before = {name: array.copy() for name, array in params.items()}
    for array in params.values():
        array.flags.writeable = False
    written = generate(params, LONG, IDS, 8, reader=FastReader, seed=0)
    assert written.shape == (len(IDS), IDS.shape[1] + 8)
    for name, array in params.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.fixture
def taken(monkeypatch):
    """The threads of BLAS that each pass asked for, in turn: "all" or "one"."""
    seen = []

    def noting(name):
        @contextmanager
        def limit():
            seen.append(name)
            yield
        return limit

    monkeypatch.setattr(fast_reader, "blas_threads", noting("all"))
    monkeypatch.setattr(fast_reader, "one_blas_thread", noting("one"))
    return seen


@pytest.mark.parametrize(("decode", "token"), [(2**25, "one"), (0, "all")])
def test_only_a_token_of_many_weights_is_left_to_blas_and_its_threads(
        decode, token, taken, monkeypatch):
    monkeypatch.setattr(threads.THRESHOLDS, "decode", decode)
    reader = FastReader(lively(LONG), LONG)
    ids = np.zeros((1, 64), np.int64)
    for start, stop in ((0, 40), (40, 45), (45, 46)):       # a prompt, a few tokens, a single one
        reader.read([0], ids[:, start:stop])
    assert taken == ["one", "one", token]


def test_where_one_thread_is_quicker_a_token_takes_one(taken, monkeypatch):
    monkeypatch.setattr(threads.THRESHOLDS, "decode", 0)
    reader = FastReader(lively(LONG), LONG)
    for quicker in (True, False, True):
        reader._with_threads = SimpleNamespace(piece=lambda: nullcontext(quicker))
        reader.read([0], np.zeros((1, 1), np.int64))
    assert taken == ["all", "one", "all"]


def test_a_small_models_window_and_its_tokens_stay_on_one_thread_of_every_kind(monkeypatch):
    # what `npgpt train` makes where nothing else is asked for
    config = SMALL.replace(vocab_size=103, n_positions=64, n_embd=128, n_layer=4, n_head=4)
    seen = set()
    monkeypatch.setattr(threads, "_share", lambda *args: seen.add("shared"))
    reader = FastReader(lively(config, dtype=np.float32), config)
    norm = reader.ops.layernorm.inference

    def watched(*args, **settings):
        seen.update(lib["num_threads"] for lib in threadpool_info()
                    if lib["user_api"] == "blas" and "scipy.libs" not in lib["filepath"])
        return norm(*args, **settings)

    reader.ops = replace(reader.ops, layernorm=replace(reader.ops.layernorm, inference=watched))
    with threads.using(2):
        for count in (64, 5, 1):
            reader.cut(0, 0)
            reader.read([0], np.zeros((1, count), np.int64))
    assert seen == {1}
