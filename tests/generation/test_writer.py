"""What the writer writes equals the plain loop: full logits of the last tokens, then a choice."""

import inspect
import itertools
import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgpt.fast.ops import FAST as fast
from npgpt.generation.language_model import LanguageModel, StreamSettings
from npgpt.generation.sampling import Sampling, SamplingSettings, generators
from npgpt.generation.writer import Request, Settings, Writer, check_names
from npgpt.ops import TEXTBOOK as textbook

from .lively import SMALL, VARIANTS, lively
from .plain import CountingReader, complete, generate, last_logits, plainly

PARAMS = lively()
PROMPT = np.array([3, 1, 4, 1, 5])


@pytest.mark.smoke
@pytest.mark.parametrize("speculate", [False, True])
@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_every_variant_writes_what_the_plain_loop_writes_also_past_the_context(config, speculate):
    params = lively(config, seed=7)
    for sampling in (Sampling(temperature=0.0), Sampling(temperature=0.6)):
        expected = plainly(PROMPT, 16, sampling, generators(2, 1)[0], params, config)
        got = generate(params, config, PROMPT, 16, temperature=sampling.temperature, seed=2,
                       speculate=speculate)
        assert got.tolist() == expected


@pytest.mark.parametrize("length", [11, 12, 13, 120])
def test_a_prompt_about_and_far_beyond_the_context_slides(length):
    prompt = np.random.default_rng(0).integers(0, 29, length)
    slid = []
    got = generate(PARAMS, SMALL, prompt, 4, seed=1, on_slide=slid.append)
    assert got.tolist() == plainly(prompt, 4, Sampling(), generators(1, 1)[0], PARAMS, SMALL)
    assert slid == [0]


def test_the_notice_of_sliding_comes_only_when_the_text_exceeds_the_context():
    slid = []
    generate(PARAMS, SMALL, PROMPT, 8, seed=1, on_slide=slid.append)
    assert slid == []
    # 12 tokens are read to choose the 13th; for a 14th the window moves
    generate(PARAMS, SMALL, PROMPT, 9, seed=1, on_slide=slid.append, reader=CountingReader)
    assert slid == [0]
    assert [count for _, count in CountingReader.latest.chunks] == [5] + [1] * 7 + [12]


@pytest.mark.smoke
def test_prompts_of_different_lengths_write_what_each_writes_alone():
    rng = np.random.default_rng(3)
    prompts = [rng.integers(0, 29, n) for n in (5, 1, 20, 5, 11)]
    for speculate in (False, True):
        together = generate(PARAMS, SMALL, prompts, 9, seed=4, speculate=speculate)
        for prompt, rng, got in zip(prompts, generators(4, 5), together):
            assert got.tolist() == plainly(prompt, 9, Sampling(), rng, PARAMS, SMALL)


def test_a_row_does_not_change_with_its_batch_mates():
    prompts = np.random.default_rng(5).integers(0, 29, (4, 6))
    whole = generate(PARAMS, SMALL, prompts, 10, seed=9, temperature=0.8, top_k=20)
    part = generate(PARAMS, SMALL, prompts[:2], 10, seed=9, temperature=0.8, top_k=20)
    np.testing.assert_array_equal(whole[:2], part)


def test_a_prompt_that_comes_several_times_is_read_once():
    generate(PARAMS, SMALL, PROMPT, 2, samples=3, seed=0, reader=CountingReader)
    assert CountingReader.latest.chunks == [([0], 4), ([0, 1, 2], 1), ([0, 1, 2], 1)]


def test_the_penalty_sees_prompt_and_continuation():
    sampling = Sampling(temperature=0.0, repetition_penalty=1e6)
    got = generate(PARAMS, SMALL, PROMPT, 7, temperature=0.0, repetition_penalty=1e6)
    assert got.tolist() == plainly(PROMPT, 7, sampling, None, PARAMS, SMALL)
    assert len(set(got[4:].tolist())) == 8


def periodic(config):
    """Parameters of a model that mostly repeats: drafts hold often, but not always."""
    params = lively(config, seed=3)
    for name in params:
        if name.endswith("c_proj.weight"):
            params[name] *= 0.4
    return params


def test_speculation_reads_fewer_times_and_writes_the_same():
    config = SMALL.replace(vocab_size=5, n_positions=64)
    params = periodic(config)
    prompt = [0, 1, 2, 3, 0, 1, 2]
    for temperature in (0.0, 0.3):
        plain = generate(params, config, prompt, 50, seed=1, temperature=temperature)
        quick = generate(params, config, prompt, 50, seed=1, temperature=temperature,
                         speculate=True, reader=CountingReader)
        np.testing.assert_array_equal(plain, quick)
        assert len(CountingReader.latest.chunks) < 40


class GivenNumbers:
    """A stand-in for a generator: gives the numbers it was made with."""

    def __init__(self, numbers):
        self.numbers = list(numbers)

    def random(self):
        return self.numbers.pop(0)


def test_sampling_with_speculation_keeps_the_exact_distribution():
    """Each of the V**N continuations owns a box of the unit cube whose volume is its probability.

    Without drafts that is so by construction. With them, every box, probed at its corners and
    within, must give its own continuation: then the distributions are one.
    """
    config = SMALL.replace(vocab_size=3)
    params = lively(config, seed=11)
    prompt = [0, 1, 2, 0, 1]
    sampling = Sampling(temperature=3.0, top_p=0.95)
    total, drafted = 0.0, 0
    for continuation in itertools.product(range(3), repeat=4):
        text, edges = list(prompt), []
        for token in continuation:
            upper = np.cumsum(sampling.distribution(last_logits(text, params, config)))
            edges.append((upper[token - 1] if token else 0.0, upper[token]))
            text.append(token)
        total += math.prod(high - low for low, high in edges)
        if any(high == low for low, high in edges):
            continue
        for fraction in (1e-6, 0.5, 1 - 1e-6):
            reader = CountingReader(params, config, 1, 12)
            rng = GivenNumbers(low + fraction * (high - low) for low, high in edges)
            writer = Writer([prompt], [rng], reader, config)
            wanted = Request(config, 4, temperature=3.0, top_p=0.95, speculate=True)
            tokens = list(writer.write(wanted))
            assert tuple(token.id for token in tokens) == continuation
            assert rng.numbers == []
            drafted += sum(n > 1 for _, n in reader.chunks[1:])
    assert math.isclose(total, 1.0)
    assert drafted > 50


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=15), min_size=1, max_size=4),
       st.integers(0, 14), st.integers(0, 99), st.sampled_from([0.0, 0.5, 1.0]))
def test_speculation_changes_no_token_in_any_batch(prompts, count, seed, temperature):
    config = SMALL.replace(vocab_size=4)
    params = lively(config, seed=seed)
    prompts = [np.array(prompt) for prompt in prompts]
    given_settings = {"seed": seed, "temperature": temperature, "stop_ids": [3]}
    plain = complete(params, config, prompts, count, **given_settings)
    quick = complete(params, config, prompts, count, speculate=True, **given_settings)
    for a, b in zip(plain, quick):
        assert a.ids.tolist() == b.ids.tolist() and a.reason == b.reason
        np.testing.assert_allclose(a.logprobs, b.logprobs, rtol=0, atol=1e-11)


@pytest.mark.parametrize("ops", [textbook, fast], ids=["textbook", "fast"])
@pytest.mark.parametrize("speculate", [False, True])
def test_fifty_greedy_tokens_in_float32_are_those_of_the_plain_loop(ops, speculate):
    config = SMALL.replace(vocab_size=211, n_positions=64, n_embd=48, n_layer=3)
    params = lively(config, dtype=np.float32)
    prompt = np.random.default_rng(1).integers(0, 211, 14)
    # the two largest logits are never nearer than 0.05; float32 errs by 2e-5
    expected = plainly(prompt, 50, Sampling(temperature=0.0), None, params, config)
    got = generate(params, config, prompt, 50, temperature=0.0, ops=ops, speculate=speculate)
    assert got.tolist() == expected


def test_a_row_ends_by_id_by_string_or_by_its_length():
    def decode(ids):
        return "".join("abcdefgh"[i] for i in ids)

    assert Request(SMALL, 4, stop_ids=7).stop_ids == {7}        # as transformers' eos_token_id
    wanted = Request(SMALL, 4, stop_ids=[7], stop=["bc"], decode=decode)
    assert wanted.ended([1, 7]) == "stop"
    assert wanted.ended([7, 1]) is None
    assert wanted.ended([0, 1, 2]) == "stop"
    assert wanted.ended([0, 2, 1]) is None
    assert wanted.ended([0, 2, 1, 3]) == "length"
    assert wanted.ended([0, 2, 1, 7]) == "stop"


def test_known_settings_pass_and_an_unknown_one_is_named_with_what_there_is():
    check_names(["temperature", "stop_ids"], Settings.__annotations__)
    with pytest.raises(TypeError) as error:
        check_names(["seed"], Settings.__annotations__)
    assert str(error.value) == (
        "unknown setting 'seed'; expected one of temperature, top_k, top_p, min_p, "
        "repetition_penalty, stop_ids, stop, decode, speculate")


@pytest.mark.parametrize("name, hint", [
    ("do_sample", "temperature 0 is greedy, and above 0 samples"),
    ("num_return_sequences", "here 'samples'"), ("eos_token_id", "here 'stop_ids'"),
    ("max_length", "max_new_tokens does not count the prompt"), ("topk", "did you mean 'top_k'?"),
    ("max_tokens", "here 'max_new_tokens'"), ("num_beams", "there is no beam search"),
])
def test_a_setting_of_another_project_is_answered_with_ours(name, hint):
    with pytest.raises(TypeError) as error:
        check_names([name], [*Settings.__annotations__, "samples"])
    assert f"unknown setting {name!r} ({hint}" in str(error.value)


def test_the_typed_settings_are_the_fields_and_parameters_that_take_them():
    assert list(SamplingSettings.__annotations__) == [field.name for field in fields(Sampling)]
    of_request = set(inspect.signature(Request).parameters) - {"config", "max_new_tokens"}
    assert set(Settings.__annotations__) == {*SamplingSettings.__annotations__,
                                             *of_request - {"sampling"}}
    of_stream = set(inspect.signature(LanguageModel.stream).parameters) - {
        "self", "ids", "max_new_tokens", "settings"}
    assert set(StreamSettings.__annotations__) == {*Settings.__annotations__, *of_stream}
